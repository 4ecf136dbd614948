// For processes of ours that live on after a fork without exec: they must not keep the parent's
// sockets, pipes and files open.
#pragma once

#include <unistd.h>

namespace sluice::sys {

// Closes every descriptor above standard error but `kept`.
inline void close_descriptors_but(int kept) {
  constexpr unsigned kFirst = STDERR_FILENO + 1;
  const auto fd = static_cast<unsigned>(kept);
  if (fd > kFirst) ::close_range(kFirst, fd - 1, 0);
  ::close_range(fd < kFirst ? kFirst : fd + 1, ~0U, 0);
}

}  // namespace sluice::sys
