// What a run does when an invariant does not hold: it stops, and main() prints the seed.
#pragma once

#include <stdexcept>
#include <string>

namespace sluice::sim {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check(bool holds, const char* invariant) {
  if (!holds) [[unlikely]]
    throw Failure(invariant);
}

}  // namespace sluice::sim
