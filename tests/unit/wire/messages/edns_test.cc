#include "wire/messages/edns.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::wire {
namespace {

std::vector<std::uint8_t> message_with(const EdnsRecord& record) {
  std::vector<std::uint8_t> bytes(512);
  DnsBuilder builder(bytes, {.response = true});
  builder.add_question({*DomainName::from_text("a.test"), DnsType::kA, DnsClass::kIn});
  add_edns(builder, record);
  bytes.resize(builder.finish().value());
  return bytes;
}

DnsRecord record_of(const std::vector<std::uint8_t>& message) {
  return DnsView::parse(message).value().records().next().value();
}

TEST(Edns, WithoutAnErrorItHasNoOptions) {
  const auto message = message_with({.udp_payload_size = 1400, .dnssec_ok = true});
  const DnsRecord record = record_of(message);
  EXPECT_EQ(record.type, DnsType::kOpt);
  EXPECT_TRUE(record.name.is_root());
  EXPECT_EQ(record.ttl, 0x8000u);
  EXPECT_TRUE(record.rdata.empty());
  EXPECT_EQ(dns_udp_payload_size(DnsView::parse(message).value()), 1400);
}

// As `dig` shows it for a server that blocks: "EDE: 15 (Blocked): (no)".
TEST(Edns, AnErrorIsAnOption) {
  const auto message = message_with({.error = ExtendedDnsError{.text = "no"}});
  const DnsRecord record = record_of(message);
  const std::vector<std::uint8_t> expected{0, 15, 0, 4, 0, 15, 'n', 'o'};
  EXPECT_EQ(std::vector<std::uint8_t>(record.rdata.begin(), record.rdata.end()), expected);
  EXPECT_EQ(record.section, DnsSection::kAdditional);
}

TEST(Edns, ALongTextIsCut) {
  const std::string text(1000, 'x');
  const auto message = message_with({.error = ExtendedDnsError{.text = text}});
  EXPECT_EQ(record_of(message).rdata.size(), 6 + kDnsErrorTextMax);
}

}  // namespace
}  // namespace sluice::wire
