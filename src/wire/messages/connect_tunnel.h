// A tunnel through a proxy of HTTP (RFC 9110, 9.3.6): what it is asked, and its answer. The
// answer's head is all that is HTTP; what follows on it is the tunnel's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "wire/address.h"

namespace sluice::wire {

// Of an answer's head. Proxies say little there.
inline constexpr std::size_t kConnectAnswerMax = 8 * 1024;

// `host` is a name, or an address as text, without brackets.
[[nodiscard]] std::vector<std::uint8_t> make_connect_request(std::string_view host, Port port);

struct ConnectAnswer {
  enum class Kind : std::uint8_t {
    kNeedMore,
    kOpen,     // Any status of 2xx.
    kRefused,  // Another final status.
    kBad,      // No answer of HTTP/1, or one too long.
  };

  Kind kind = Kind::kNeedMore;
  unsigned status = 0;
  std::size_t size = 0;  // Of kOpen: where the tunnel begins.
};

// Of all that has come, from the first byte on. An answer of 1xx comes before the one that counts.
[[nodiscard]] ConnectAnswer read_connect_answer(ByteView bytes);

}  // namespace sluice::wire
