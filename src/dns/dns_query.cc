#include "dns/dns_query.h"

#include <algorithm>

namespace sluice::dns {
namespace {

constexpr std::uint32_t kDnssecOkBit = 0x8000;

constexpr std::uint8_t edns_version(std::uint32_t opt_ttl) {
  return static_cast<std::uint8_t>(opt_ttl >> 16);
}

std::uint8_t lower(std::uint8_t c) {
  return c >= 'A' && c <= 'Z' ? static_cast<std::uint8_t>(c + ('a' - 'A')) : c;
}

}  // namespace

bool has_plain_question(const wire::DnsView& message) {
  constexpr std::size_t kTypeAndClass = 4;
  return message.header().question_count == 1 && message.question() &&
         message.question_bytes().size() == message.question()->name.wire().size() + kTypeAndClass;
}

std::optional<DnsQueryTraits> read_dns_query(const wire::DnsView& query) {
  const wire::DnsHeader& header = query.header();
  if (!has_plain_question(query)) return std::nullopt;
  DnsQueryTraits traits;
  traits.shareable = header.opcode == 0 && header.answer_count == 0 && header.authority_count == 0;
  for (wire::DnsRecordReader records = query.records(); !records.done();) {
    const auto record = records.next();
    if (!record) return std::nullopt;
    if (record->type != wire::DnsType::kOpt || traits.edns) {
      traits.shareable = false;
      traits.options_offset.reset();
      continue;
    }
    traits.edns = true;
    traits.dnssec_ok = (record->ttl & kDnssecOkBit) != 0;
    traits.udp_payload_size = wire::dns_udp_payload_size(query);
    if (edns_version(record->ttl) != 0) traits.shareable = false;
    if (records.done() && !record->rdata.empty()) traits.options_offset = record->rdata_offset;
  }
  return traits;
}

DnsKey::DnsKey(const wire::DnsView& query, const DnsQueryTraits& traits) {
  const wire::DnsQuestion& question = *query.question();
  const ByteView name = question.name.wire();
  // Lengths of labels are below 64 and so are not taken for letters.
  std::ranges::transform(name, octets_.begin(), lower);
  const FixedBytes<5> tail = MutableBytes(octets_).subspan(name.size()).first<5>();
  put16<0>(tail, static_cast<std::uint16_t>(question.type));
  put16<2>(tail, static_cast<std::uint16_t>(question.klass));
  put8<4>(tail, static_cast<std::uint8_t>((query.header().recursion_desired ? 1U : 0U) |
                                          (query.header().checking_disabled ? 2U : 0U) |
                                          (traits.edns ? 4U : 0U) | (traits.dnssec_ok ? 8U : 0U) |
                                          (query.header().authentic_data ? 16U : 0U)));
  size_ = name.size() + tail.size();
}

}  // namespace sluice::dns
