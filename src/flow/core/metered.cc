#include "flow/core/metered.h"

#include <algorithm>

#include "base/unreachable.h"

namespace sluice::flow {

DatagramsMetered meter_datagrams(policy::Lane& lane, std::size_t bytes, std::size_t segment_size,
                                 Instant now) {
  using Pass = policy::Lane::Pass;
  const std::size_t each = segment_size == 0 ? std::max<std::size_t>(bytes, 1) : segment_size;
  DatagramsMetered metered;
  do {
    const std::size_t next = std::min(each, bytes - metered.bytes);
    switch (lane.pass(next, now)) {
      case Pass::kPasses: break;
      case Pass::kUsedUp: metered.used_up = true; return metered;
      case Pass::kOverRate:
        metered.dropped = std::max<std::size_t>(1, (bytes - metered.bytes + each - 1) / each);
        return metered;
    }
    metered.bytes += next;
  } while (metered.bytes < bytes);
  return metered;
}

}  // namespace sluice::flow
