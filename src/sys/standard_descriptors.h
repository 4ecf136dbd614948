// Standard input, output and error, which a caller may have left closed.
#pragma once

#include <fcntl.h>
#include <unistd.h>

namespace sluice::sys {

// Opens /dev/null wherever one of the three is closed. Otherwise the next file or socket takes its
// number, and is read as input or has messages and reports written into it. First thing in main();
// false when there is no /dev/null either.
[[nodiscard]] inline bool fill_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest number that is free, and all below are taken. Children inherit it, as they would
    // of any shell that closes nothing.
    if (::open("/dev/null", O_RDWR) != fd) return false;
  }
  return true;
}

}  // namespace sluice::sys
