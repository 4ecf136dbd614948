#include "wire/ip/quoted_packet.h"

#include "wire/ip/ipv4.h"
#include "wire/ip/ipv6.h"

namespace sluice::wire {
namespace {

constexpr std::size_t kTransportSizeMin = 8;

}  // namespace

std::expected<QuotedPacket, ParseError> parse_quoted_ipv4(ByteView bytes) {
  if (bytes.size() < Ipv4View::kHeaderSize) return std::unexpected(ParseError::kTruncated);
  const FixedView<Ipv4View::kHeaderSize> header = bytes.first<Ipv4View::kHeaderSize>();
  if (header[0] >> 4 != 4) return std::unexpected(ParseError::kBadVersion);
  // The total length is that of the whole packet and says nothing about the quote. Routers have
  // changed TTL and checksum, so neither is checked.
  const std::size_t header_length = (header[0] & 0xfU) * std::size_t{4};
  if (header_length < Ipv4View::kHeaderSize) return std::unexpected(ParseError::kBadLength);
  if (bytes.size() < header_length + kTransportSizeMin) {
    return std::unexpected(ParseError::kTruncated);
  }
  if ((be16<6>(header) & 0x1fffU) != 0) return std::unexpected(ParseError::kUnsupported);
  return QuotedPacket{IpAddress::v4(header.subspan<12, 4>()),
                      IpAddress::v4(header.subspan<16, 4>()), IpProtocol{header[9]},
                      bytes.subspan(header_length)};
}

std::expected<QuotedPacket, ParseError> parse_quoted_ipv6(ByteView bytes) {
  if (bytes.size() < Ipv6View::kHeaderSize) return std::unexpected(ParseError::kTruncated);
  const FixedView<Ipv6View::kHeaderSize> header = bytes.first<Ipv6View::kHeaderSize>();
  if (header[0] >> 4 != 6) return std::unexpected(ParseError::kBadVersion);
  const auto upper =
      walk_extension_headers(IpProtocol{header[6]}, bytes.subspan(Ipv6View::kHeaderSize));
  if (!upper) return std::unexpected(upper.error());
  if (const auto& fragment = upper->fragment; fragment && fragment->offset != 0) {
    return std::unexpected(ParseError::kUnsupported);
  }
  if (upper->payload.size() < kTransportSizeMin) return std::unexpected(ParseError::kTruncated);
  QuotedPacket quoted{IpAddress::v6(header.subspan<8, 16>()),
                      IpAddress::v6(header.subspan<24, 16>()), upper->protocol, upper->payload};
  if (quoted.source.is_v4() || quoted.destination.is_v4()) {
    return std::unexpected(ParseError::kBadAddress);
  }
  return quoted;
}

}  // namespace sluice::wire
