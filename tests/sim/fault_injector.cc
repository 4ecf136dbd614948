#include "fault_injector.h"

namespace sluice::sim {
namespace {

[[nodiscard]] bool happens(Prng& prng, std::uint32_t in_thousand) {
  return in_thousand != 0 && prng.below(1000) < in_thousand;
}

[[nodiscard]] Duration some_delay(Prng& prng, std::chrono::microseconds max) {
  return std::chrono::microseconds(prng.below(static_cast<std::uint64_t>(max.count())));
}

}  // namespace

FrameFate FaultInjector::next(Prng& prng, std::size_t size, std::size_t spared) const {
  FrameFate fate;
  if (happens(prng, rates_.lost)) {
    fate.lost = true;
    return fate;
  }
  if (happens(prng, rates_.reordered)) fate.delay = some_delay(prng, rates_.delay_max);
  if (happens(prng, rates_.repeated)) fate.repeat_after = some_delay(prng, rates_.delay_max);
  if (happens(prng, rates_.corrupted) && size > spared) {
    const std::size_t offset = spared + prng.below(size - spared);
    fate.corruption = {.offset = offset, .mask = static_cast<std::uint8_t>(1 + prng.below(255))};
  }
  return fate;
}

}  // namespace sluice::sim
