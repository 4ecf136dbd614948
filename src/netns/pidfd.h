// Signals to a process by its descriptor. glibc 2.36 declares pidfd_send_signal() without C
// linkage, so C++ must make the call itself.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

namespace sluice::netns {

inline int send_signal_by_pidfd(int pidfd, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

}  // namespace sluice::netns
