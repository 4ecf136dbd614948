// What both ends of a modelled TCP do with bytes that come in any order: only where they lie
// counts, as the content follows from the offset (pattern.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace sluice::sim {

using Range = std::pair<std::uint64_t, std::uint64_t>;  // Offsets of a stream.

// Takes in a range of a stream of which everything before `received` is there. What lies ahead is
// kept, up to `most` ranges.
inline void take_in(const Range& range, std::uint64_t& received, std::vector<Range>& early,
                    std::size_t most) {
  if (range.first > received) {
    if (range.first < range.second && early.size() < most) early.push_back(range);
    return;
  }
  received = std::max(received, range.second);
  for (bool moved = true; moved;) {
    moved = false;
    for (const Range& one : early) {
      if (one.first <= received && received < one.second) {
        received = one.second;
        moved = true;
      }
    }
  }
  std::erase_if(early, [received](const Range& one) { return one.second <= received; });
}

}  // namespace sluice::sim
