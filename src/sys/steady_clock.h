// The clock that every Instant comes from.
#pragma once

#include <time.h>

#include <chrono>

#include "base/time.h"
#include "sys/kernel.h"

namespace sluice::sys {

// CLOCK_MONOTONIC: the same in every process of this machine.
[[nodiscard]] inline Instant steady_now(Kernel& kernel) {
  timespec time{};
  kernel.clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace sluice::sys
