#include "dns/dns_names.h"

#include <gtest/gtest.h>

#include "unit/dns/dns_messages.h"

namespace sluice::dns {
namespace {

using test::Bytes;
using test::make_answer;
using test::make_query;
using wire::DnsView;

constexpr SipKey kKey{3, 4};

wire::IpAddress ip(std::string_view text) { return wire::parse_ip(text).value(); }

TEST(DnsNames, LearnsTheNameAsAsked) {
  DnsNames names(kKey);
  const Bytes query = make_query("www.example.com");
  names.learn(*DnsView::parse(make_answer(
      query, {.records = {{"192.0.2.1"}, {"2001:db8::1"}}, .alias = "cdn.example.net"})));
  EXPECT_EQ(names.lookup(ip("192.0.2.1")), "www.example.com");
  EXPECT_EQ(names.lookup(ip("2001:db8::1")), "www.example.com");
  EXPECT_EQ(names.lookup(ip("192.0.2.9")), "");
}

TEST(DnsNames, LatestNameCounts) {
  DnsNames names(kKey);
  names.learn(ip("192.0.2.1"), "old.example");
  names.learn(ip("192.0.2.1"), "new.example");
  EXPECT_EQ(names.lookup(ip("192.0.2.1")), "new.example");
  EXPECT_EQ(names.size(), 1u);
}

TEST(DnsNames, IgnoresFailuresQueriesAndBrokenRecords) {
  DnsNames names(kKey);
  const Bytes query = make_query("example.com");
  names.learn(*DnsView::parse(query));
  names.learn(*DnsView::parse(
      make_answer(query, {.records = {{"192.0.2.1"}}, .rcode = wire::DnsRcode::kNxDomain})));
  const Bytes answer = make_answer(query, {.records = {{"192.0.2.2"}}});
  names.learn(*DnsView::parse(ByteView(answer).first(answer.size() - 1)));
  EXPECT_EQ(names.size(), 0u);
}

TEST(DnsNames, IsBoundedAndForgetsTheLeastRecentlyUsed) {
  DnsNames names(kKey, 3);
  names.learn(ip("192.0.2.1"), "one");
  names.learn(ip("192.0.2.2"), "two");
  names.learn(ip("192.0.2.3"), "three");
  EXPECT_EQ(names.lookup(ip("192.0.2.1")), "one");
  names.learn(ip("192.0.2.4"), "four");
  EXPECT_EQ(names.size(), 3u);
  EXPECT_EQ(names.lookup(ip("192.0.2.1")), "one");
  EXPECT_EQ(names.lookup(ip("192.0.2.2")), "");
  for (std::uint32_t i = 0; i < 10'000; ++i) names.learn(wire::IpAddress::v4(i), "flood");
  EXPECT_EQ(names.size(), 3u);
}

}  // namespace
}  // namespace sluice::dns
