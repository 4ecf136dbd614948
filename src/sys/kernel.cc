#include "sys/kernel.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>

namespace sluice::sys {
namespace {

// Rounds up, so that a deadline is never polled for in a busy loop.
int milliseconds_of(const timespec* timeout) {
  if (timeout == nullptr) return -1;
  constexpr long kNanosPerMilli = 1'000'000;
  if (timeout->tv_sec >= INT_MAX / 1000) return INT_MAX;
  return static_cast<int>(timeout->tv_sec * 1000 +
                          (timeout->tv_nsec + kNanosPerMilli - 1) / kNanosPerMilli);
}

class RealKernel final : public Kernel {
 public:
  int socket(int domain, int type, int protocol) override {
    return ::socket(domain, type, protocol);
  }
  int connect(int fd, const sockaddr* address, socklen_t length) override {
    return ::connect(fd, address, length);
  }
  int bind(int fd, const sockaddr* address, socklen_t length) override {
    return ::bind(fd, address, length);
  }
  int listen(int fd, int backlog) override { return ::listen(fd, backlog); }
  int accept4(int fd, sockaddr* address, socklen_t* length, int flags) override {
    return ::accept4(fd, address, length, flags);
  }
  int getsockname(int fd, sockaddr* address, socklen_t* length) override {
    return ::getsockname(fd, address, length);
  }
  int getsockopt(int fd, int level, int name, void* value, socklen_t* length) override {
    return ::getsockopt(fd, level, name, value, length);
  }
  int setsockopt(int fd, int level, int name, const void* value, socklen_t length) override {
    return ::setsockopt(fd, level, name, value, length);
  }
  ssize_t sendmsg(int fd, const msghdr* message, int flags) override {
    return ::sendmsg(fd, message, flags);
  }
  int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) override {
    return ::sendmmsg(fd, messages, count, flags);
  }
  ssize_t send(int fd, const void* buffer, size_t length, int flags) override {
    return ::send(fd, buffer, length, flags);
  }
  ssize_t recvmsg(int fd, msghdr* message, int flags) override {
    return ::recvmsg(fd, message, flags);
  }
  int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) override {
    return ::recvmmsg(fd, messages, count, flags, nullptr);
  }
  ssize_t recv(int fd, void* buffer, size_t length, int flags) override {
    return ::recv(fd, buffer, length, flags);
  }
  int shutdown(int fd, int how) override { return ::shutdown(fd, how); }
  int close(int fd) override { return ::close(fd); }
  int ioctl_int(int fd, unsigned long request, int* value) override {
    return ::ioctl(fd, request, value);
  }

  int epoll_create1(int flags) override { return ::epoll_create1(flags); }
  int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event) override {
    return ::epoll_ctl(epoll_fd, operation, fd, event);
  }
  int epoll_pwait2(int epoll_fd, epoll_event* events, int count, const timespec* timeout) override {
    if (!pwait2_missing_.load(std::memory_order_relaxed)) {
      const int ready = ::epoll_pwait2(epoll_fd, events, count, timeout, nullptr);
      if (ready >= 0 || errno != ENOSYS) return ready;
      pwait2_missing_.store(true, std::memory_order_relaxed);
    }
    return ::epoll_wait(epoll_fd, events, count, milliseconds_of(timeout));
  }

  ssize_t read(int fd, void* buffer, size_t length) override { return ::read(fd, buffer, length); }
  ssize_t write(int fd, const void* buffer, size_t length) override {
    return ::write(fd, buffer, length);
  }
  ssize_t readv(int fd, const iovec* parts, int count) override {
    return ::readv(fd, parts, count);
  }
  ssize_t writev(int fd, const iovec* parts, int count) override {
    return ::writev(fd, parts, count);
  }

  int pipe2(int ends[2], int flags) override { return ::pipe2(ends, flags); }
  int fcntl_int(int fd, int command, int value) override { return ::fcntl(fd, command, value); }
  ssize_t splice(int from, int to, size_t length, unsigned flags) override {
    return ::splice(from, nullptr, to, nullptr, length, flags);
  }

  int clock_gettime(clockid_t clock, timespec* now) override { return ::clock_gettime(clock, now); }

 private:
  std::atomic<bool> pwait2_missing_ = false;
};

}  // namespace

Kernel& real_kernel() {
  static RealKernel kernel;
  return kernel;
}

}  // namespace sluice::sys
