#include "link/fault_injector.h"

namespace sluice::link {

FrameFate FaultInjector::next(std::size_t size, std::size_t spared) {
  FrameFate fate;
  if (happens(rates_.lost)) {
    fate.lost = true;
    return fate;
  }
  if (happens(rates_.reordered)) fate.delay = some_delay();
  if (happens(rates_.repeated)) fate.repeat_after = some_delay();
  if (size > spared && happens(rates_.corrupted)) {
    fate.corruption = {.offset = spared + prng_.below(size - spared),
                       .mask = static_cast<std::uint8_t>(1 + prng_.below(255))};
  }
  return fate;
}

}  // namespace sluice::link
