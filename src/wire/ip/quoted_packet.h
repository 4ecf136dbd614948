// The packet that an ICMP error is about, as the error quotes it: cut off somewhere (RFC 792; RFC
// 1812, 4.3.2.3; RFC 4443, 2.4).
#pragma once

#include <cstdint>
#include <expected>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/ip_protocol.h"
#include "wire/parse_error.h"

namespace sluice::wire {

struct QuotedPacket {
  IpAddress source{};
  IpAddress destination{};
  IpProtocol protocol{};
  // At least 8 bytes of TCP, UDP or ICMP: the ports, or the identifier of an echo.
  ByteView transport{};

  // For TCP and UDP.
  [[nodiscard]] Port source_port() const { return Port{be16<0>(transport.first<8>())}; }
  [[nodiscard]] Port destination_port() const { return Port{be16<2>(transport.first<8>())}; }
  // For an ICMP or ICMPv6 echo.
  [[nodiscard]] std::uint16_t echo_identifier() const { return be16<4>(transport.first<8>()); }
};

// A quote of anything but the first fragment has no ports and is refused as kUnsupported.
[[nodiscard]] std::expected<QuotedPacket, ParseError> parse_quoted_ipv4(ByteView bytes);
[[nodiscard]] std::expected<QuotedPacket, ParseError> parse_quoted_ipv6(ByteView bytes);

}  // namespace sluice::wire
