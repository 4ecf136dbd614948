// Whose limits a flow counts for.
#pragma once

#include <cstddef>

#include "base/time.h"
#include "policy/limits/meter.h"

namespace sluice::flow {

struct Metered {
  policy::Meter* meter = nullptr;  // Null: nobody's. Not owned.
  // There was no place for it, or nothing left: it carries nothing, and does not count.
  bool over = false;

  [[nodiscard]] bool any() const { return meter != nullptr; }
};

// Of datagrams that came together, `segment_size` bytes each (0: one), what goes on. They do not
// wait.
struct DatagramsMetered {
  std::size_t bytes = 0;    // From the front; of none that is empty it says nothing.
  std::size_t dropped = 0;  // Datagrams over a rate.
  bool used_up = false;     // There is a quota that the rest does not fit in.

  [[nodiscard]] bool all_pass() const { return dropped == 0 && !used_up; }
};
[[nodiscard]] DatagramsMetered meter_datagrams(policy::Lane& lane, std::size_t bytes,
                                               std::size_t segment_size, Instant now);

}  // namespace sluice::flow
