// The head of a request of HTTP/1 (RFC 9112): to which host it is, and where it ends.
//
//   method SP target SP HTTP/1.x CRLF, fields, CRLF
//
// A server may read leniently what is not as the RFC has it, and so another request than we did;
// hence whatever could be read in two ways is a fault: a bare CR or LF, a folded line, a space
// before a colon, two hosts, two lengths, a length and chunks (RFC 9112, 11.2). So is what would
// make other requests out of the bytes that follow: CONNECT, HTTP/2, an upgrade to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "wire/messages/domain_name.h"

namespace sluice::wire {

// Of a request's line and fields.
inline constexpr std::size_t kHttpHeadSizeMax = 16 * 1024;

// Whether a client's first bytes are a request, or may become one: a word, a space, and "HTTP/" in
// the same line. What may become one and is as long as a head may be counts as one.
enum class HttpLikeness : std::uint8_t { kNone, kNeedMore, kRequest };
[[nodiscard]] HttpLikeness http_likeness(ByteView bytes);

enum class HttpFault : std::uint8_t {
  kNone,
  kSyntax,
  kTooLong,
  kVersion,  // Neither 1.0 nor 1.1.
  kHost,     // None, two, one that is none, or another one in the target.
  kFraming,  // Where the body ends could be read in two ways.
  kConnect,
  kUpgrade,  // To anything but WebSocket.
};

struct HttpHead {
  HttpFault fault = HttpFault::kNone;
  // Not where the host is an IP address, or where HTTP/1.0 names none.
  std::optional<DomainName> host{};
  std::uint64_t body = 0;  // Content-Length.
  bool chunked = false;
  bool websocket = false;  // Asks to be upgraded.
};

// A head from its first byte to the empty line, which is the last one of `bytes`.
[[nodiscard]] HttpHead read_http_head(ByteView bytes);

}  // namespace sluice::wire
