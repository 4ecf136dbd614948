// The first message of a TLS client (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2), as far as it says which
// server is meant.
//
//   record     | 22 | 3, minor | length (2) | a piece of the handshake, 1 … 2^14 bytes |
//   handshake  | 1 | length (3) | version (2) | random (32) | session id <0…32> |
//              | cipher suites <2…2^16-2> | compression methods <1…255> | extensions <0…2^16-1> |
//   extension  | type (2) | length (2) | … |          server_name (0): RFC 6066, 3
//
// A hello may be cut into records and records into segments wherever a client likes, so the reader
// is given all bytes so far, from the first one on, again whenever there are more. It looks at
// nothing but the heads of records until the hello is whole. Bounded, without memory of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "wire/messages/domain_name.h"

namespace sluice::wire {

struct ClientHello {
  enum class Finding : std::uint8_t {
    kNotTls,      // The first bytes are no record of a handshake.
    kNeedMore,    // They may become a hello.
    kServerName,  // `server_name` is meant.
    kNoServerName,
    kMalformed,  // No hello, beyond a bound, or one that two readers may read in two ways.
  };

  Finding finding = Finding::kNeedMore;
  DomainName server_name{};
  // It has the extension encrypted_client_hello (RFC 9849, or a draft's), or one that only looks
  // like it: the server name may be that of a front, and clients send it without meaning it.
  bool encrypted = false;
};

// Of a hello, its records included, and in how many records it may come. With ML-KEM a hello has
// about 1,800 bytes.
inline constexpr std::size_t kClientHelloSizeMax = 16 * 1024;
inline constexpr std::size_t kClientHelloRecordsMax = 64;
inline constexpr std::size_t kClientHelloExtensionsMax = 60;

// Of all that a client sent so far. What follows the hello, such as early data, is not looked at.
[[nodiscard]] ClientHello read_client_hello(ByteView bytes);

}  // namespace sluice::wire
