// Why bytes were not a valid message. One enum for all formats, so that callers can count them.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::wire {

enum class ParseError : std::uint8_t {
  kTruncated,       // fewer bytes than the format or one of its length fields says
  kBadVersion,      // not the protocol version this parser reads
  kBadLength,       // a length field contradicts the format
  kBadChecksum,     // the header's own checksum is wrong
  kBadAddress,      // an address that must never be on the wire
  kMalformed,       // any other contradiction
  kTooManyHeaders,  // a longer chain of headers, options or pointers than anybody sends
  kUnsupported,     // valid, but not a message that this parser reads
};

[[nodiscard]] constexpr std::string_view to_string(ParseError error) {
  switch (error) {
    case ParseError::kTruncated: return "truncated";
    case ParseError::kBadVersion: return "bad version";
    case ParseError::kBadLength: return "bad length";
    case ParseError::kBadChecksum: return "bad checksum";
    case ParseError::kBadAddress: return "bad address";
    case ParseError::kMalformed: return "malformed";
    case ParseError::kTooManyHeaders: return "too many headers";
    case ParseError::kUnsupported: return "unsupported";
  }
  return "unknown";
}

}  // namespace sluice::wire
