// A link that misbehaves, by seed: says of each frame whether it is lost, late, sent twice or
// corrupted. It holds no frames; whoever carries them does what it says. For the simulation and
// for tests of links; same seed, same faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/prng.h"
#include "base/time.h"

namespace sluice::link {

// How many frames of a thousand meet each fate.
struct FaultRates {
  std::uint32_t lost = 0;
  std::uint32_t repeated = 0;
  std::uint32_t reordered = 0;
  std::uint32_t corrupted = 0;
  Duration delay_max = std::chrono::milliseconds(20);  // Of reordered and repeated frames.
};

struct FrameFate {
  struct Corruption {
    std::size_t offset = 0;
    std::uint8_t mask = 0;  // Not zero; to be XORed.
  };
  bool lost = false;                     // Then nothing else is set.
  std::optional<Duration> delay;         // Others may overtake it.
  std::optional<Duration> repeat_after;  // A copy follows, without the corruption.
  std::optional<Corruption> corruption;
};

class FaultInjector {
 public:
  FaultInjector(std::uint64_t seed, const FaultRates& rates) : prng_(seed), rates_(rates) {}

  // From now on nothing happens to any frame.
  void stop() { rates_ = {}; }
  // The fate of the next frame. Its first `spared` bytes are never corrupted.
  [[nodiscard]] FrameFate next(std::size_t size, std::size_t spared = 0);

 private:
  [[nodiscard]] bool happens(std::uint32_t in_thousand) {
    return in_thousand != 0 && prng_.below(1000) < in_thousand;
  }
  [[nodiscard]] Duration some_delay() {
    return Duration(static_cast<std::int64_t>(
        prng_.below(static_cast<std::uint64_t>(rates_.delay_max.count()) + 1)));
  }

  Prng prng_;
  FaultRates rates_;
};

}  // namespace sluice::link
