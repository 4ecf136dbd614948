// One view for both IP families: what the engine needs of a packet before it looks at its
// transport. Borrows the packet; never allocates.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/ip/ipv4.h"
#include "wire/ip/ipv6.h"
#include "wire/ip_protocol.h"
#include "wire/link/ethernet.h"
#include "wire/parse_error.h"

namespace sluice::wire {

struct IpFragment {
  std::uint32_t offset = 0;  // in bytes
  bool more = false;
  std::uint32_t identification = 0;  // 16 bits in IPv4
  friend constexpr bool operator==(const IpFragment&, const IpFragment&) = default;
};

struct IpPacketView {
  IpFamily family{};
  IpProtocol protocol{};
  std::uint8_t hop_limit = 0;      // TTL in IPv4
  std::uint8_t traffic_class = 0;  // DSCP and ECN
  bool dont_fragment = false;      // always true for IPv6
  IpAddress source{};
  IpAddress destination{};
  std::optional<IpFragment> fragment{};  // Empty for a whole packet, an atomic fragment included.
  ByteView payload{};                    // what follows all IP headers
  ByteView packet{};                     // headers and payload, without link padding
};

[[nodiscard]] inline std::expected<IpPacketView, ParseError> parse_ipv4_packet(ByteView bytes) {
  const auto ip = Ipv4View::parse(bytes);
  if (!ip) return std::unexpected(ip.error());
  // RFC 1122, 3.2.1.2: a wrong header checksum must be discarded.
  if (!ip->header_checksum_ok()) return std::unexpected(ParseError::kBadChecksum);
  IpPacketView view{.family = IpFamily::kV4,
                    .protocol = ip->protocol(),
                    .hop_limit = ip->ttl(),
                    .traffic_class = ip->dscp_ecn(),
                    .dont_fragment = ip->dont_fragment(),
                    .source = ip->source(),
                    .destination = ip->destination(),
                    .fragment = std::nullopt,
                    .payload = ip->payload(),
                    .packet = ip->packet()};
  if (ip->is_fragment()) [[unlikely]] {
    view.fragment = IpFragment{ip->fragment_offset(), ip->more_fragments(), ip->identification()};
  }
  return view;
}

[[nodiscard]] inline std::expected<IpPacketView, ParseError> parse_ipv6_packet(ByteView bytes) {
  const auto ip = Ipv6View::parse(bytes);
  if (!ip) return std::unexpected(ip.error());
  IpPacketView view{.family = IpFamily::kV6,
                    .protocol = ip->next_header(),
                    .hop_limit = ip->hop_limit(),
                    .traffic_class = ip->traffic_class(),
                    .dont_fragment = true,
                    .source = ip->source(),
                    .destination = ip->destination(),
                    .fragment = std::nullopt,
                    .payload = ip->payload(),
                    .packet = ip->packet()};
  if (const auto& fragment = ip->fragment(); fragment && !fragment->is_atomic()) [[unlikely]] {
    view.fragment = IpFragment{fragment->offset, fragment->more, fragment->identification};
  }
  return view;
}

// kUnsupported for anything but IP.
[[nodiscard]] inline std::expected<IpPacketView, ParseError> parse_ip_packet(EtherType type,
                                                                             ByteView bytes) {
  if (type == EtherType::kIpv4) return parse_ipv4_packet(bytes);
  if (type == EtherType::kIpv6) return parse_ipv6_packet(bytes);
  return std::unexpected(ParseError::kUnsupported);
}

// A packet without its link's header: its version tells which it is.
[[nodiscard]] inline std::expected<IpPacketView, ParseError> parse_ip_packet(ByteView bytes) {
  const bool v4 = !bytes.empty() && bytes.front() >> 4 == 4;
  return parse_ip_packet(v4 ? EtherType::kIpv4 : EtherType::kIpv6, bytes);
}

}  // namespace sluice::wire
