// Counts what operator new hands out in this program: allocations.cc replaces it. One thread.
#pragma once

#include <cstdint>

namespace sluice::bench {

struct Allocations {
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;

  Allocations& operator+=(const Allocations& other) {
    count += other.count;
    bytes += other.bytes;
    return *this;
  }
  friend Allocations operator-(const Allocations& later, const Allocations& earlier) {
    return {later.count - earlier.count, later.bytes - earlier.bytes};
  }
};

// Since the program began.
[[nodiscard]] Allocations allocations_so_far();

}  // namespace sluice::bench
