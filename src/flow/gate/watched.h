// A connection of HTTP whose requests are judged for as long as it lives: what of a burst may go to
// the host, and the beginning of a head that has to wait. Bodies go on as they lie in the burst.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/time.h"
#include "flow/core/action.h"
#include "flow/gate/http_watch.h"

namespace sluice::flow {

class Watched {
 public:
  // Of a head that waits, or of what follows on an upgrade that the host has not answered.
  static constexpr std::size_t kHeldMax = wire::kHttpHeadSizeMax;

  explicit Watched(const HttpWatch& watch) : watch_(watch) {}

  // What goes to the host: a chain of ranges, which begins with what was held.
  struct Sifted {
    std::optional<Refusal> refusal{};  // ... or nothing does.
    std::uint32_t first_range = kNoRange;
    std::uint64_t bytes = 0;
  };
  // Of what is held and the chain behind it, if there is one. Bytes that were held and go on are
  // moved to `parting`, which has to live until the actions are carried out.
  [[nodiscard]] Sifted sift(std::uint32_t chain, const Asking& asking, ActionSink& out,
                            std::vector<std::vector<std::uint8_t>>& parting);

  // The guest was told that we have so many bytes more than the host got.
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  // What the host says. True when what is held can be sifted again.
  [[nodiscard]] bool hear(ByteView answer) {
    if (!watch_.hear(answer)) return false;
    seen_ = 0;
    return !held_.empty();
  }
  [[nodiscard]] bool listens() const { return watch_.listens(); }
  // Nothing has to be judged any more.
  [[nodiscard]] bool is_over() const { return watch_.is_over() && held_.empty(); }

  Instant until = kNever;     // When a flow is refused whose head is not whole yet.
  std::uint64_t written = 0;  // Of the WriteTcp that is out.

 private:
  struct Chain;
  [[nodiscard]] ByteView complete(ByteView bytes, const Asking& asking, Chain& chain);

  HttpWatch watch_;
  std::vector<std::uint8_t> held_;
  std::size_t seen_ = 0;  // Of these.
};

}  // namespace sluice::flow
