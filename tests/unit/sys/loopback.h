// What tests with real sockets and namespaces share.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>

#include "base/unique_fd.h"
#include "wire/address.h"

namespace sluice::sys {

inline wire::IpAddress ip(std::string_view text) { return wire::parse_ip(text).value(); }

inline wire::IpAddress loopback_of(wire::IpFamily family) {
  return ip(family == wire::IpFamily::kV4 ? "127.0.0.1" : "::1");
}

inline bool wait_for(int fd, short events, int milliseconds = 2000) {
  pollfd item{.fd = fd, .events = events, .revents = 0};
  return ::poll(&item, 1, milliseconds) == 1;
}

// Runs `body` in a process of its own; returns its exit status as waitpid() gives it. The body
// returns the exit code.
inline int in_child(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

inline constexpr int kNotPermitted = 77;

// The same in a network namespace of its own with loopback up; kNotPermitted when the system
// refuses one.
inline int in_network_namespace(const std::function<int()>& body) {
  return in_child([&] {
    const auto write_text = [](const char* path, const std::string& text) {
      const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
      return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    };
    const std::string uid = std::to_string(::geteuid());
    const std::string gid = std::to_string(::getegid());
    const bool root = ::geteuid() == 0;
    if (::unshare(CLONE_NEWNET | (root ? 0 : CLONE_NEWUSER)) != 0) return kNotPermitted;
    if (!root && !(write_text("/proc/self/setgroups", "deny") &&
                   write_text("/proc/self/uid_map", "0 " + uid + " 1") &&
                   write_text("/proc/self/gid_map", "0 " + gid + " 1"))) {
      return kNotPermitted;
    }
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    if (::ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) return kNotPermitted;
    return body();
  });
}

// A bare tap in the network namespace of the caller, without what src/link adds.
inline UniqueFd bare_tap(const char* name) {
  UniqueFd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return fd;
  ifreq request{};
  std::strcpy(request.ifr_name, name);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) return UniqueFd();
  return fd;
}

}  // namespace sluice::sys
