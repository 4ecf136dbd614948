// EDNS(0) in messages of our own (RFC 6891), with an extended error (RFC 8914): the reason of an
// answer in words.
//
//   OPT record: root | 41 | UDP payload size | extended rcode, version, DO … | length | options
//   option:     15 (2) | length (2) | info code (2) | text in UTF-8 …
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "wire/messages/dns.h"

namespace sluice::wire {

// RFC 8914, 4.16: withheld by a policy of whoever runs the resolver.
inline constexpr std::uint16_t kDnsErrorBlocked = 15;
// Longer texts are cut: an answer without records is to fit into the smallest datagram.
inline constexpr std::size_t kDnsErrorTextMax = 120;

struct ExtendedDnsError {
  std::uint16_t code = kDnsErrorBlocked;
  std::string_view text{};
};

struct EdnsRecord {
  std::uint16_t udp_payload_size = 1232;  // What fits into any path's datagram.
  bool dnssec_ok = false;
  std::optional<ExtendedDnsError> error{};
};

// As the last record of a message.
void add_edns(DnsBuilder& builder, const EdnsRecord& record);

}  // namespace sluice::wire
