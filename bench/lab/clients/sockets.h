// Sockets, clock and epoll for the lab's programs. An error that makes a measurement worthless
// ends the program with status 1 and a line that says which call failed.
#pragma once

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace sluice::bench {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
};

[[noreturn]] inline void die(const char* what, int error = errno) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(error));
  std::exit(1);
}

[[nodiscard]] inline std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// `family` chooses where a name has addresses of both.
[[nodiscard]] inline Address resolve(const std::string& host, std::uint64_t port,
                                     int family = AF_UNSPEC) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (status != 0) {
    std::fprintf(stderr, "%s: %s\n", host.c_str(), ::gai_strerror(status));
    std::exit(1);
  }
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.length = found->ai_addrlen;
  ::freeaddrinfo(found);
  return address;
}

// Thousands of flows need thousands of descriptors; root may go beyond the hard limit.
inline void raise_descriptor_limit(rlim_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) return;
  const rlimit raised{wanted, std::max(wanted, limit.rlim_max)};
  if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

inline void set_option(int fd, int level, int name, int value) {
  if (::setsockopt(fd, level, name, &value, sizeof value) != 0) die("setsockopt");
}

[[nodiscard]] inline UniqueFd open_socket(int family, int type) {
  UniqueFd fd(::socket(family, type | SOCK_CLOEXEC, 0));
  if (!fd.valid()) die("socket");
  return fd;
}

inline void connect_stream(int fd, const Address& server) {
  if (::connect(fd, server.get(), server.length) != 0) die("connect");
}

// Sends the request at once: a latency client must not wait for Nagle's algorithm.
[[nodiscard]] inline UniqueFd open_stream(int family, int flags = 0) {
  UniqueFd fd = open_socket(family, SOCK_STREAM | flags);
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

class Epoll {
 public:
  Epoll() : fd_(::epoll_create1(EPOLL_CLOEXEC)), events_(1024) {
    if (!fd_.valid()) die("epoll_create1");
  }
  void add(int fd, std::uint32_t events, std::uint64_t tag) {
    control(EPOLL_CTL_ADD, fd, events, tag);
  }
  void modify(int fd, std::uint32_t events, std::uint64_t tag) {
    control(EPOLL_CTL_MOD, fd, events, tag);
  }
  void remove(int fd) { ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr); }

  // Valid until the next wait. Empty when the time is up.
  [[nodiscard]] std::span<const epoll_event> wait(int timeout_ms) {
    return found("epoll_wait", ::epoll_wait(fd_.get(), events_.data(),
                                            static_cast<int>(events_.size()), timeout_ms));
  }
  // A schedule needs more than milliseconds.
  [[nodiscard]] std::span<const epoll_event> wait_ns(std::uint64_t timeout_ns) {
    const timespec timeout{static_cast<time_t>(timeout_ns / 1'000'000'000U),
                           static_cast<long>(timeout_ns % 1'000'000'000U)};
    return found("epoll_pwait2 (it needs Linux 5.11)",
                 ::epoll_pwait2(fd_.get(), events_.data(), static_cast<int>(events_.size()),
                                &timeout, nullptr));
  }

 private:
  std::span<const epoll_event> found(const char* call, int count) {
    if (count < 0 && errno != EINTR) die(call);
    return {events_.data(), static_cast<std::size_t>(std::max(count, 0))};
  }
  void control(int operation, int fd, std::uint32_t events, std::uint64_t tag) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = tag;
    if (::epoll_ctl(fd_.get(), operation, fd, &event) != 0) die("epoll_ctl");
  }

  UniqueFd fd_;
  std::vector<epoll_event> events_;
};

// The kernel may wake a sleeper 50 µs late to save power; a schedule wants it at its time.
inline void wake_on_time() { ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

// The error of a non-blocking connect; zero when it succeeded.
[[nodiscard]] inline int socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

// Blocking: moves exactly `size` bytes or ends the program.
inline void send_all(int fd, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = ::send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) die("send");
    bytes += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

inline void receive_all(int fd, void* data, std::size_t size) {
  auto* bytes = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = ::recv(fd, bytes, size, 0);
    if (got == 0) die("recv", ECONNRESET);
    if (got < 0) die("recv");
    bytes += got;
    size -= static_cast<std::size_t>(got);
  }
}

}  // namespace sluice::bench
