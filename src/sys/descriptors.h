// The descriptors that a process has as it begins.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace sluice::sys {

// Opens /dev/null wherever one of standard input, output and error is closed, as a caller may have
// left them. Otherwise the next file or socket takes its number, and is read as input or has
// messages and reports written into it. First thing in main(); false when there is no /dev/null
// either.
[[nodiscard]] inline bool fill_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest number that is free, and all below are taken. Children inherit it, as they would
    // of any shell that closes nothing.
    if (::open("/dev/null", O_RDWR) != fd) return false;
  }
  return true;
}

// Closes every descriptor above standard error but `kept`. For processes of ours that live on after
// a fork without exec: they must not keep the parent's sockets, pipes and files open.
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
