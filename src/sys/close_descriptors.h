// For processes of ours that live on after a fork without exec: they must not keep the parent's
// sockets, pipes and files open.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <vector>

namespace sluice::sys {

// Closes every descriptor above standard error but `kept`.
inline void close_descriptors_but(std::vector<int> kept) {
  std::ranges::sort(kept);
  unsigned first = STDERR_FILENO + 1;
  for (const int each : kept) {
    if (each < 0) continue;
    const auto fd = static_cast<unsigned>(each);
    if (fd > first) ::close_range(first, fd - 1, 0);
    first = std::max(first, fd + 1);
  }
  ::close_range(first, ~0U, 0);
}

}  // namespace sluice::sys
