// A link that misbehaves: says of each frame whether it is lost, late, sent twice or corrupted. It
// holds no frames; whoever carries them does what it says. The simulation's link stands on it. The
// caller's generator decides, so the same seed gives the same faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/prng.h"
#include "base/time.h"

namespace sluice::sim {

// How many frames of a thousand meet each fate.
struct FaultRates {
  std::uint32_t lost = 0;
  std::uint32_t repeated = 0;
  std::uint32_t reordered = 0;
  std::uint32_t corrupted = 0;
  // Of reordered and repeated frames.
  std::chrono::microseconds delay_max = std::chrono::milliseconds(20);
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
  explicit FaultInjector(const FaultRates& rates) : rates_(rates) {}

  // From now on nothing happens to any frame.
  void stop() { rates_ = {}; }
  // The fate of the next frame. Its first `spared` bytes are never corrupted.
  [[nodiscard]] FrameFate next(Prng& prng, std::size_t size, std::size_t spared = 0) const;

 private:
  FaultRates rates_;
};

}  // namespace sluice::sim
