// What the relay and its cache must know of a guest's DNS query beyond its question: the EDNS
// record (RFC 6891), and the key under which equal queries share one answer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "wire/messages/dns.h"

namespace sluice::dns {

// EDNS versions and extended codes stand where other records have their TTL (RFC 6891, 6.1.3).
[[nodiscard]] constexpr std::uint8_t edns_extended_rcode(std::uint32_t opt_ttl) {
  return static_cast<std::uint8_t>(opt_ttl >> 24);
}

struct DnsQueryTraits {
  bool edns = false;
  bool dnssec_ok = false;
  // Nothing in the query but the question and a plain EDNS record, so that equal queries may share
  // an answer. Not so for TSIG, an update, or another EDNS version.
  bool shareable = false;
  std::uint16_t udp_payload_size = 512;
  // Where the options of an EDNS record at the end of the message begin. They concern the two ends
  // of one hop (cookies, keep-alive) and are not passed on.
  std::optional<std::size_t> options_offset{};
};

// One question whose name is written out: a compression pointer could only lead into the header,
// where the name would change with the id.
[[nodiscard]] bool has_plain_question(const wire::DnsView& message);

// Nothing if the question is not plain or a record is malformed.
[[nodiscard]] std::optional<DnsQueryTraits> read_dns_query(const wire::DnsView& query);

// Name in lower case (RFC 4343), type, class, and the flags that change an answer: RD, CD, EDNS,
// DO. Neither the id nor the case of the question.
class DnsKey {
 public:
  DnsKey(const wire::DnsView& query, const DnsQueryTraits& traits);
  [[nodiscard]] ByteView bytes() const { return ByteView(octets_).first(size_); }

 private:
  std::array<std::uint8_t, wire::kDomainNameSizeMax + 5> octets_{};
  std::size_t size_ = 0;
};

}  // namespace sluice::dns
