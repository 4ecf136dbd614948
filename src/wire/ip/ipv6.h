// IPv6 and its extension headers (RFC 8200).
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-------+---------------+---------------------------------------+
//   |Version| Traffic class |              Flow label               |
//   +-------+---------------+-------+---------------+---------------+
//   |         Payload length        |  Next header  |   Hop limit   |
//   +-------------------------------+---------------+---------------+
//   |                  Source address (16 bytes)                    |
//   +---------------------------------------------------------------+
//   |                Destination address (16 bytes)                 |
//   +---------------------------------------------------------------+
//
//   Fragment header (4.5):
//   +---------------+---------------+-------------------------+---+-+
//   |  Next header  |   Reserved    |     Fragment offset     |Res|M|
//   +---------------+---------------+-------------------------+---+-+
//   |                        Identification                         |
//   +---------------------------------------------------------------+
#pragma once

#include <algorithm>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/ip_protocol.h"
#include "wire/parse_error.h"

namespace sluice::wire {

struct Ipv6Fragment {
  std::uint32_t offset = 0;  // in bytes
  bool more = false;
  std::uint32_t identification = 0;

  // Whole in one piece (RFC 6946).
  [[nodiscard]] constexpr bool is_atomic() const { return offset == 0 && !more; }
  friend constexpr bool operator==(const Ipv6Fragment&, const Ipv6Fragment&) = default;
};

// Where a chain of extension headers ends.
struct Ipv6UpperLayer {
  IpProtocol protocol{};
  ByteView payload{};
  std::optional<Ipv6Fragment> fragment{};
};

// Walks the chain that begins with a header of type `first`. It ends at the upper layer, at a
// header type that we do not know, or behind the Fragment header of a true fragment: what follows
// there belongs together only after reassembly, and this function then continues with the whole.
[[nodiscard]] std::expected<Ipv6UpperLayer, ParseError> walk_extension_headers(IpProtocol first,
                                                                               ByteView bytes);

[[nodiscard]] constexpr bool is_extension_header(IpProtocol protocol) {
  return protocol == IpProtocol::kHopByHop || protocol == IpProtocol::kRouting ||
         protocol == IpProtocol::kFragment || protocol == IpProtocol::kDestinationOptions;
}

// Borrows the packet and must not outlive it.
class Ipv6View {
 public:
  static constexpr std::size_t kHeaderSize = 40;

  // Link padding is dropped. Jumbograms (RFC 2675) are not read. An IPv4-mapped address must not be
  // on the wire (RFC 4942, 2.2) and is refused: taken for IPv4 it would slip past a rule for IPv4.
  [[nodiscard]] static std::expected<Ipv6View, ParseError> parse(ByteView bytes) {
    if (bytes.size() < kHeaderSize) return std::unexpected(ParseError::kTruncated);
    const FixedView<kHeaderSize> header = bytes.first<kHeaderSize>();
    if (header[0] >> 4 != 6) return std::unexpected(ParseError::kBadVersion);
    const std::size_t payload_length = be16<4>(header);
    if (payload_length > bytes.size() - kHeaderSize) {
      return std::unexpected(ParseError::kTruncated);
    }
    const ByteView packet = bytes.first(kHeaderSize + payload_length);
    Ipv6View view(packet, IpProtocol{header[6]});
    if (view.source().is_v4() || view.destination().is_v4()) {
      return std::unexpected(ParseError::kBadAddress);
    }
    if (is_extension_header(view.upper_.protocol)) [[unlikely]] {
      auto upper = walk_extension_headers(view.upper_.protocol, view.upper_.payload);
      if (!upper) return std::unexpected(upper.error());
      view.upper_ = *upper;
    }
    return view;
  }

  [[nodiscard]] IpAddress source() const { return IpAddress::v6(header().subspan<8, 16>()); }
  [[nodiscard]] IpAddress destination() const { return IpAddress::v6(header().subspan<24, 16>()); }
  [[nodiscard]] std::uint8_t hop_limit() const { return header()[7]; }
  [[nodiscard]] std::uint8_t traffic_class() const {
    return static_cast<std::uint8_t>(be16<0>(header()) >> 4);
  }
  [[nodiscard]] std::uint32_t flow_label() const { return be32<0>(header()) & 0xf'ffffU; }
  // The final upper-layer protocol, behind all extension headers.
  [[nodiscard]] IpProtocol next_header() const { return upper_.protocol; }
  [[nodiscard]] const std::optional<Ipv6Fragment>& fragment() const { return upper_.fragment; }
  [[nodiscard]] ByteView payload() const { return upper_.payload; }
  // Header and payload, without link padding.
  [[nodiscard]] ByteView packet() const { return packet_; }

 private:
  Ipv6View(ByteView packet, IpProtocol next)
      : packet_(packet), upper_{next, packet.subspan(kHeaderSize), std::nullopt} {}
  [[nodiscard]] FixedView<kHeaderSize> header() const { return packet_.first<kHeaderSize>(); }

  ByteView packet_;
  Ipv6UpperLayer upper_;
};

// A header without extension headers. Addresses are IPv6.
struct Ipv6Repr {
  IpAddress source{};
  IpAddress destination{};
  IpProtocol next_header{};
  std::uint8_t hop_limit = 64;
  std::uint16_t payload_length = 0;
  std::uint8_t traffic_class = 0;
  std::uint32_t flow_label = 0;  // 20 bits

  friend bool operator==(const Ipv6Repr&, const Ipv6Repr&) = default;

  void emit(FixedBytes<Ipv6View::kHeaderSize> header) const {
    put32<0>(header,
             0x6000'0000U | (std::uint32_t{traffic_class} << 20) | (flow_label & 0xf'ffffU));
    put16<4>(header, payload_length);
    put8<6>(header, static_cast<std::uint8_t>(next_header));
    put8<7>(header, hop_limit);
    const FixedView<16> from = source.octets();
    const FixedView<16> to = destination.octets();
    std::copy(from.begin(), from.end(), header.begin() + 8);
    std::copy(to.begin(), to.end(), header.begin() + 24);
  }
};

inline constexpr std::size_t kIpv6FragmentHeaderSize = 8;

inline void emit_ipv6_fragment(FixedBytes<kIpv6FragmentHeaderSize> header, IpProtocol next,
                               const Ipv6Fragment& fragment) {
  put8<0>(header, static_cast<std::uint8_t>(next));
  put8<1>(header, 0);
  put16<2>(header,
           static_cast<std::uint16_t>((fragment.offset & 0xfff8U) | (fragment.more ? 1 : 0)));
  put32<4>(header, fragment.identification);
}

}  // namespace sluice::wire
