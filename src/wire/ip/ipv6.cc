#include "wire/ip/ipv6.h"

namespace sluice::wire {
namespace {

// RFC 8504, 5.3 lets a host bound the chain; eight is twice what RFC 8200, 4.1 recommends.
constexpr int kHeadersMax = 8;
constexpr std::size_t kUnit = 8;

}  // namespace

std::expected<Ipv6UpperLayer, ParseError> walk_extension_headers(IpProtocol first, ByteView bytes) {
  Ipv6UpperLayer at{first, bytes, std::nullopt};
  for (int headers = 0; is_extension_header(at.protocol); ++headers) {
    if (headers == kHeadersMax) return std::unexpected(ParseError::kTooManyHeaders);
    if (at.payload.size() < kUnit) return std::unexpected(ParseError::kTruncated);
    const FixedView<kUnit> header = at.payload.first<kUnit>();
    if (at.protocol == IpProtocol::kFragment) {
      // A second Fragment header has no meaning (RFC 8200, 4.1: each at most once).
      if (at.fragment) return std::unexpected(ParseError::kMalformed);
      at.fragment = Ipv6Fragment{be16<2>(header) & 0xfff8U, (header[3] & 1U) != 0, be32<4>(header)};
      at.protocol = IpProtocol{header[0]};
      at.payload = at.payload.subspan(kUnit);
      if (!at.fragment->is_atomic()) return at;
      continue;
    }
    const std::size_t length = (std::size_t{header[1]} + 1) * kUnit;
    if (length > at.payload.size()) return std::unexpected(ParseError::kTruncated);
    at.protocol = IpProtocol{header[0]};
    at.payload = at.payload.subspan(length);
  }
  return at;
}

}  // namespace sluice::wire
