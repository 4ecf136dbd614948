// Stops a fuzz target whose input broke an invariant, with the invariant's name.
#pragma once

#include "base/unreachable.h"

namespace sluice {

inline void require(bool holds, const char* invariant) {
  if (!holds) unreachable(invariant);
}

}  // namespace sluice
