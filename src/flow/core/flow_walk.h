// All flows that live, one after another: for those who list them, or look for one of them. A walk
// that stops goes on from where it was, whatever became of the flows meanwhile; one that began
// since may be missing.
#pragma once

#include <cstdint>

#include "base/slab.h"

namespace sluice::flow {

inline constexpr std::uint32_t kWalkEnd = 0xffff'ffff;

// Shows the flows from the place `from` on, the first of which is 0, to `visit`, until that returns
// false. Returns the place where that was, or kWalkEnd.
template <typename Flow, typename Visit>
[[nodiscard]] std::uint32_t walk_flows(const Slab<Flow>& flows, std::uint32_t from,
                                       const Visit& visit) {
  for (std::uint32_t index = from; index < flows.capacity(); ++index) {
    const Flow* const flow = flows.find(flows.handle_of(index));
    if (flow != nullptr && !visit(*flow)) return index;
  }
  return kWalkEnd;
}

}  // namespace sluice::flow
