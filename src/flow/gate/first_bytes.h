// What becomes of the first bytes that a guest sends on a connection: they wait for more, go on, or
// end it. TLS is told by the record of its hello, HTTP by its first line; all else is opaque.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "flow/gate/claim.h"
#include "flow/gate/http_watch.h"
#include "flow/gate/refusal.h"

namespace sluice::flow {

struct FirstBytes {
  ByteView bytes;         // All so far, from the first one on.
  bool finished = false;  // No more will come.
};

struct GateFinding {
  enum class Kind : std::uint8_t { kNeedMore, kPass, kRefused };

  Kind kind = Kind::kNeedMore;
  std::optional<HttpWatch> watch{};  // Of kPass: what follows is to be judged by it.
  Refusal refusal{};                 // Of kRefused.
  std::optional<NamedBy> by{};       // Of kPass, where something was judged.
};

[[nodiscard]] GateFinding judge_first_bytes(const FirstBytes& first, const Asking& asking);

}  // namespace sluice::flow
