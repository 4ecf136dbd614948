// The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): who the client was, told
// in front of a forwarded connection.
//
//   1:  "PROXY TCP4 203.0.113.7 192.0.2.1 51000 443\r\n"   also TCP6, and UNKNOWN
//   2:  | 0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a | version, command | family, transport |
//       | length (2) | source | destination | source port | destination port | TLVs … |
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/parse_error.h"

namespace sluice::wire {

enum class ProxyVersion : std::uint8_t { kV1 = 1, kV2 = 2 };

// kLocal: the proxy speaks for itself, such as a health check; the addresses mean nothing.
enum class ProxyCommand : std::uint8_t { kLocal = 0, kProxy = 1 };

enum class ProxyTransport : std::uint8_t { kUnspecified = 0, kStream = 1, kDatagram = 2 };

struct ProxyHeader {
  ProxyVersion version{};
  ProxyCommand command = ProxyCommand::kProxy;
  // kUnspecified when no addresses were given: v1's UNKNOWN, v2's LOCAL, AF_UNSPEC and AF_UNIX.
  ProxyTransport transport = ProxyTransport::kUnspecified;
  Endpoint source{};
  Endpoint destination{};
  friend bool operator==(const ProxyHeader&, const ProxyHeader&) = default;
};

struct ParsedProxyHeader {
  ProxyHeader header{};
  std::size_t size = 0;  // bytes that it takes; the client's own follow
  ByteView tlvs{};       // of v2; borrowed
};

// Where a v1 line must have ended, by the specification.
inline constexpr std::size_t kProxyV1SizeMax = 107;
// Of headers that emit_proxy_header() writes; a v2 header that others send may be 64 KiB.
inline constexpr std::size_t kProxyEmitSizeMax = kProxyV1SizeMax;

// kTruncated means that the bytes may become a header once more of them have arrived; every other
// error is final.
[[nodiscard]] std::expected<ParsedProxyHeader, ParseError> parse_proxy_header(ByteView bytes);

// The size that a header of version 2 states, as soon as its beginning shows it; else 0.
[[nodiscard]] std::size_t proxy_header_size(ByteView bytes);

// Returns the length; nothing if `out` is too small. Version 1 knows only stream: everything else
// is written as UNKNOWN. A pair of mixed families is written as IPv6.
[[nodiscard]] std::optional<std::size_t> emit_proxy_header(const ProxyHeader& header,
                                                           MutableBytes out);

// A TLV of version 2 (2.2.2): the name that the client wants, as the server name of TLS would have
// it. At most 255 bytes of it are told.
inline constexpr std::uint8_t kProxyTlvAuthority = 0x02;
inline constexpr std::size_t kProxyAuthorityMax = 255;
inline constexpr std::size_t kProxyV2EmitSizeMax = 16 + 36 + 3 + kProxyAuthorityMax;
// A header of version 2 of a stream, with that; nothing if `out` is too small, or `authority` is
// empty or too long.
[[nodiscard]] std::optional<std::size_t> emit_proxy_header(const ProxyHeader& header,
                                                           std::string_view authority,
                                                           MutableBytes out);

}  // namespace sluice::wire
