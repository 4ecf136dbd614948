// The real kernel behind a seam: a base for kernels that count calls or disturb them.
#pragma once

#include <map>
#include <string>

#include "sys/kernel.h"

namespace sluice::relay {

class PassKernel : public sys::Kernel {
 public:
  int socket(int domain, int type, int protocol) override {
    return real().socket(domain, type, protocol);
  }
  int connect(int fd, const sockaddr* address, socklen_t length) override {
    return real().connect(fd, address, length);
  }
  int bind(int fd, const sockaddr* address, socklen_t length) override {
    return real().bind(fd, address, length);
  }
  int listen(int fd, int backlog) override { return real().listen(fd, backlog); }
  int accept4(int fd, sockaddr* address, socklen_t* length, int flags) override {
    return real().accept4(fd, address, length, flags);
  }
  int getsockname(int fd, sockaddr* address, socklen_t* length) override {
    return real().getsockname(fd, address, length);
  }
  int getsockopt(int fd, int level, int name, void* value, socklen_t* length) override {
    return real().getsockopt(fd, level, name, value, length);
  }
  int setsockopt(int fd, int level, int name, const void* value, socklen_t length) override {
    return real().setsockopt(fd, level, name, value, length);
  }
  ssize_t sendmsg(int fd, const msghdr* message, int flags) override {
    return real().sendmsg(fd, message, flags);
  }
  int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) override {
    return real().sendmmsg(fd, messages, count, flags);
  }
  ssize_t send(int fd, const void* buffer, size_t length, int flags) override {
    return real().send(fd, buffer, length, flags);
  }
  ssize_t recvmsg(int fd, msghdr* message, int flags) override {
    return real().recvmsg(fd, message, flags);
  }
  int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) override {
    return real().recvmmsg(fd, messages, count, flags);
  }
  ssize_t recv(int fd, void* buffer, size_t length, int flags) override {
    return real().recv(fd, buffer, length, flags);
  }
  int shutdown(int fd, int how) override { return real().shutdown(fd, how); }
  int close(int fd) override { return real().close(fd); }
  int ioctl_int(int fd, unsigned long request, int* value) override {
    return real().ioctl_int(fd, request, value);
  }
  int epoll_create1(int flags) override { return real().epoll_create1(flags); }
  int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event) override {
    return real().epoll_ctl(epoll_fd, operation, fd, event);
  }
  int epoll_pwait2(int epoll_fd, epoll_event* events, int count, const timespec* timeout) override {
    return real().epoll_pwait2(epoll_fd, events, count, timeout);
  }
  ssize_t read(int fd, void* buffer, size_t length) override {
    return real().read(fd, buffer, length);
  }
  ssize_t write(int fd, const void* buffer, size_t length) override {
    return real().write(fd, buffer, length);
  }
  ssize_t readv(int fd, const iovec* parts, int count) override {
    return real().readv(fd, parts, count);
  }
  ssize_t writev(int fd, const iovec* parts, int count) override {
    return real().writev(fd, parts, count);
  }
  int pipe2(int ends[2], int flags) override { return real().pipe2(ends, flags); }
  int fcntl_int(int fd, int command, int value) override {
    return real().fcntl_int(fd, command, value);
  }
  ssize_t splice(int from, int to, size_t length, unsigned flags) override {
    return real().splice(from, to, length, flags);
  }
  int clock_gettime(clockid_t clock, timespec* now) override {
    return real().clock_gettime(clock, now);
  }

 protected:
  [[nodiscard]] static sys::Kernel& real() { return sys::real_kernel(); }
};

// Counts what a relay calls on its way.
class CountingKernel : public PassKernel {
 public:
  ssize_t send(int fd, const void* buffer, size_t length, int flags) override {
    ++calls["send"];
    return PassKernel::send(fd, buffer, length, flags);
  }
  ssize_t recv(int fd, void* buffer, size_t length, int flags) override {
    ++calls["recv"];
    return PassKernel::recv(fd, buffer, length, flags);
  }
  ssize_t splice(int from, int to, size_t length, unsigned flags) override {
    ++calls["splice"];
    return PassKernel::splice(from, to, length, flags);
  }
  int shutdown(int fd, int how) override {
    ++calls["shutdown"];
    return PassKernel::shutdown(fd, how);
  }
  int close(int fd) override {
    ++calls["close"];
    return PassKernel::close(fd);
  }
  int setsockopt(int fd, int level, int name, const void* value, socklen_t length) override {
    ++calls["setsockopt"];
    return PassKernel::setsockopt(fd, level, name, value, length);
  }
  int getsockopt(int fd, int level, int name, void* value, socklen_t* length) override {
    ++calls["getsockopt"];
    return PassKernel::getsockopt(fd, level, name, value, length);
  }
  int ioctl_int(int fd, unsigned long request, int* value) override {
    ++calls["ioctl"];
    return PassKernel::ioctl_int(fd, request, value);
  }
  int pipe2(int ends[2], int flags) override {
    ++calls["pipe2"];
    return PassKernel::pipe2(ends, flags);
  }
  int fcntl_int(int fd, int command, int value) override {
    ++calls["fcntl"];
    return PassKernel::fcntl_int(fd, command, value);
  }

  std::map<std::string, int> calls;
};

}  // namespace sluice::relay
