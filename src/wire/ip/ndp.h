// Neighbor Discovery (RFC 4861), with the RDNSS and DNSSL options of router advertisements (RFC
// 8106). Every message is ICMPv6 and is valid only with hop limit 255, which the caller checks.
//
//   Router solicitation 133:    | ICMP header | reserved (4) | options …
//   Router advertisement 134:   | ICMP header | hop limit | M O flags | lifetime (2) |
//                               | reachable time (4) | retransmit timer (4) | options …
//   Neighbor solicitation 135:  | ICMP header | reserved (4) | target (16) | options …
//   Neighbor advertisement 136: | ICMP header | R S O flags (4) | target (16) | options …
//
//   Option: | type | length in units of 8 bytes | data … |
//
// Values own their lists; they are built once, or read at the pace of neighbour discovery.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/ip/icmpv6.h"
#include "wire/messages/domain_name.h"
#include "wire/parse_error.h"

namespace sluice::wire {

inline constexpr std::uint8_t kNdpHopLimit = 255;
inline constexpr std::uint32_t kNdpInfiniteLifetime = 0xffff'ffff;
// Further prefixes and servers of an advertisement are not kept.
inline constexpr std::size_t kNdpPrefixesMax = 8;
inline constexpr std::size_t kNdpDnsServersMax = 16;

struct RouterSolicitation {
  std::optional<MacAddress> source_link_address{};
  friend bool operator==(const RouterSolicitation&, const RouterSolicitation&) = default;
};

struct PrefixInformation {
  IpAddress prefix{};
  std::uint8_t length = 64;
  bool on_link = true;
  bool autonomous = true;
  std::uint32_t valid_seconds = kNdpInfiniteLifetime;
  std::uint32_t preferred_seconds = kNdpInfiniteLifetime;
  friend bool operator==(const PrefixInformation&, const PrefixInformation&) = default;
};

struct RouterAdvertisement {
  std::uint8_t hop_limit = 0;  // zero: not specified, as for the times below
  bool managed = false;        // addresses by DHCPv6
  bool other = false;          // other configuration by DHCPv6
  std::uint16_t router_lifetime_seconds = 0;
  std::uint32_t reachable_time_ms = 0;
  std::uint32_t retransmit_timer_ms = 0;
  std::optional<MacAddress> source_link_address{};
  std::optional<std::uint32_t> mtu{};
  std::vector<PrefixInformation> prefixes{};
  std::vector<IpAddress> dns_servers{};
  std::uint32_t dns_lifetime_seconds = 0;  // of servers
  std::vector<DomainName> search_domains{};
  std::uint32_t search_lifetime_seconds = 0;
  friend bool operator==(const RouterAdvertisement&, const RouterAdvertisement&) = default;
};

struct NeighborSolicitation {
  IpAddress target{};
  // Absent while the sender tests whether an address is free.
  std::optional<MacAddress> source_link_address{};
  friend bool operator==(const NeighborSolicitation&, const NeighborSolicitation&) = default;
};

struct NeighborAdvertisement {
  bool router = false;
  bool solicited = false;
  bool override = false;
  IpAddress target{};
  std::optional<MacAddress> target_link_address{};
  friend bool operator==(const NeighborAdvertisement&, const NeighborAdvertisement&) = default;
};

using NdpMessage = std::variant<RouterSolicitation, RouterAdvertisement, NeighborSolicitation,
                                NeighborAdvertisement>;

// Reads the message behind an ICMPv6 header; kUnsupported for other types. The checksum is not
// checked. Unknown options are skipped, one of length zero makes the message invalid (RFC
// 4861, 4.6).
[[nodiscard]] std::expected<NdpMessage, ParseError> parse_ndp(const Icmpv6View& icmp);

// Writes a whole ICMPv6 message with its checksum and returns its length; nothing if `out` is too
// small.
[[nodiscard]] std::optional<std::size_t> emit_ndp(const NdpMessage& message,
                                                  const IpAddress& source,
                                                  const IpAddress& destination, MutableBytes out);

// ff02::1:ffXX:XXXX, where neighbour solicitations for `target` go (RFC 4291, 2.7.1).
[[nodiscard]] IpAddress solicited_node_multicast(const IpAddress& target);
// 33:33:… for an IPv6 multicast group (RFC 2464, 7).
[[nodiscard]] MacAddress multicast_mac(const IpAddress& group);

}  // namespace sluice::wire
