// ARP for IPv4 over Ethernet (RFC 826).
//
//   0          2          4    5    6           8         14        18        24        28
//   +----------+----------+----+----+-----------+---------+---------+---------+---------+
//   | hardware | protocol |hlen|plen| operation | sender  | sender  | target  | target  |
//   | type = 1 |  0x0800  | 6  | 4  |           | MAC     | IP      | MAC     | IP      |
//   +----------+----------+----+----+-----------+---------+---------+---------+---------+
#pragma once

#include <algorithm>
#include <cstdint>
#include <expected>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/link/ethernet.h"
#include "wire/parse_error.h"

namespace sluice::wire {

enum class ArpOperation : std::uint16_t { kRequest = 1, kReply = 2 };

struct ArpRepr {
  static constexpr std::size_t kSize = 28;

  ArpOperation operation{};
  MacAddress sender_mac{};
  IpAddress sender_ip{};
  MacAddress target_mac{};
  IpAddress target_ip{};

  friend bool operator==(const ArpRepr&, const ArpRepr&) = default;

  [[nodiscard]] static std::expected<ArpRepr, ParseError> parse(ByteView bytes) {
    if (bytes.size() < kSize) return std::unexpected(ParseError::kTruncated);
    const FixedView<kSize> packet = bytes.first<kSize>();
    if (be32<0>(packet) != kEthernetIpv4 || be16<4>(packet) != kLengths) {
      return std::unexpected(ParseError::kUnsupported);
    }
    const ArpOperation operation{be16<6>(packet)};
    if (operation != ArpOperation::kRequest && operation != ArpOperation::kReply) {
      return std::unexpected(ParseError::kUnsupported);
    }
    return ArpRepr{operation, load_mac(packet.subspan<8, 6>()),
                   IpAddress::v4(packet.subspan<14, 4>()), load_mac(packet.subspan<18, 6>()),
                   IpAddress::v4(packet.subspan<24, 4>())};
  }

  // Both addresses are IPv4.
  void emit(FixedBytes<kSize> packet) const {
    put32<0>(packet, kEthernetIpv4);
    put16<4>(packet, kLengths);
    put16<6>(packet, static_cast<std::uint16_t>(operation));
    std::ranges::copy(sender_mac.octets, packet.begin() + 8);
    put32<14>(packet, sender_ip.v4_value());
    std::ranges::copy(target_mac.octets, packet.begin() + 18);
    put32<24>(packet, target_ip.v4_value());
  }

 private:
  static constexpr std::uint32_t kEthernetIpv4 = 0x0001'0800;
  static constexpr std::uint16_t kLengths = 0x0604;
};

}  // namespace sluice::wire
