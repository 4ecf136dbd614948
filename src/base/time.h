// Time as the core sees it: an argument. Only the driver reads a clock.
#pragma once

#include <chrono>

namespace sluice {

using Duration = std::chrono::nanoseconds;

// Tag of the monotonic clock. It has no now(): whoever holds an Instant was handed it.
struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};

using Instant = std::chrono::time_point<MonotonicClock, Duration>;

inline constexpr Instant kNever = Instant::max();

}  // namespace sluice
