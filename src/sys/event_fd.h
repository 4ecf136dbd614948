// An eventfd(2) as a bell: whoever has the descriptor rings it, and it is readable until whoever
// watches it has drained it. Any thread, and any process that it was passed to.
#pragma once

#include <sys/eventfd.h>

#include <cstdint>

#include "base/unique_fd.h"
#include "sys/kernel.h"

namespace sluice::sys {

// Invalid where there are no descriptors left; errno says so. Neither end of it ever waits.
[[nodiscard]] inline UniqueFd open_event_fd() {
  return UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

// Fails only where the counter is full, and then it is readable as well.
inline void ring(Kernel& kernel, int event_fd) {
  const std::uint64_t one = 1;
  (void)kernel.write(event_fd, &one, sizeof one);
}

// False where nobody has rung since the last time.
inline bool drain(Kernel& kernel, int event_fd) {
  std::uint64_t count = 0;
  return kernel.read(event_fd, &count, sizeof count) == static_cast<ssize_t>(sizeof count);
}

}  // namespace sluice::sys
