// Blocking sockets on the loopback for tests of what forwards: short, and with time limits, so that
// a test that hangs fails instead.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/unique_fd.h"

namespace sluice::forward::testing {

inline constexpr int kTimeLimitSeconds = 5;

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

inline std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  return ntohs(address.sin_port);
}

inline UniqueFd bound_socket(int type, std::uint16_t port = 0) {
  UniqueFd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const sockaddr_in address = loopback(port);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

inline UniqueFd listening_socket(std::uint16_t port = 0, int backlog = 128) {
  UniqueFd fd = bound_socket(SOCK_STREAM, port);
  EXPECT_EQ(listen(fd.get(), backlog), 0);
  return fd;
}

// A port on which nobody listens.
inline std::uint16_t free_port() { return port_of(bound_socket(SOCK_STREAM).get()); }

// Swallows SYNs at every address of the loopback that has no listener of its own at this port.
class SilentPort {
 public:
  SilentPort() : door_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    share(door_);
    const sockaddr_in any{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {}, .sin_zero = {}};
    EXPECT_EQ(bind(door_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(listen(door_.get(), 0), 0);  // With a queue that one client fills.
    filler_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in name = loopback(port());
    EXPECT_EQ(connect(filler_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  }
  [[nodiscard]] std::uint16_t port() const { return port_of(door_.get()); }
  // One that answers, at 127.0.0.`host`.
  [[nodiscard]] UniqueFd listen_at(std::uint8_t host) const {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    share(fd);
    sockaddr_in name = loopback(port());
    name.sin_addr.s_addr = htonl(0x7f00'0000U + host);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    EXPECT_EQ(listen(fd.get(), 128), 0);
    return fd;
  }

 private:
  static void share(const UniqueFd& fd) {
    const int one = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  }
  UniqueFd door_;
  UniqueFd filler_;
};

inline void limit_time(int fd) {
  const timeval limit{.tv_sec = kTimeLimitSeconds, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

inline UniqueFd connect_to(std::uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  limit_time(fd.get());
  const sockaddr_in address = loopback(port);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

inline UniqueFd accept_from(const UniqueFd& listener) {
  limit_time(listener.get());
  UniqueFd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(fd.valid()) << "nobody connected";
  if (fd.valid()) limit_time(fd.get());
  return fd;
}

inline void send_text(const UniqueFd& fd, std::string_view text) {
  EXPECT_EQ(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

// Exactly `size` bytes, or what came before the end or an error.
inline std::string receive_text(const UniqueFd& fd, std::size_t size) {
  std::string text(size, '\0');
  std::size_t got = 0;
  while (got < size) {
    const ssize_t n = recv(fd.get(), text.data() + got, size - got, 0);
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  text.resize(got);
  return text;
}

// What the next read says: 0 at the end of the stream, else errno; -1 for data.
inline int end_of(const UniqueFd& fd) {
  char byte = 0;
  const ssize_t n = recv(fd.get(), &byte, 1, 0);
  return n == 0 ? 0 : n < 0 ? errno : -1;
}

inline void reset(UniqueFd& fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd.reset();
}

}  // namespace sluice::forward::testing
