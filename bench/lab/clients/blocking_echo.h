// Echo servers in the plainest form: one thread, one peer at a time, blocking calls. sockperf's
// server for one socket is built the same way, which makes the two comparable
// (bench/lab/labkit/agreement.py); the event loop's own calls are no part of a round trip here.
#pragma once

#include <thread>
#include <utility>
#include <vector>

#include "clients/sockets.h"

namespace sluice::bench {

inline void echo_stream(int fd, std::vector<char>& buffer) {
  while (true) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) return;
    std::size_t sent = 0;
    while (sent < static_cast<std::size_t>(got)) {
      const ssize_t taken =
          ::send(fd, buffer.data() + sent, static_cast<std::size_t>(got) - sent, MSG_NOSIGNAL);
      if (taken < 0) return;
      sent += static_cast<std::size_t>(taken);
    }
  }
}

// Serves connections one after the other, until the program ends. `listener` is blocking.
inline void serve_blocking_streams(UniqueFd listener) {
  std::thread([fd = std::move(listener)] {
    std::vector<char> buffer(65536);
    while (true) {
      const UniqueFd connection(::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection.valid()) {
        if (errno == ECONNABORTED || errno == EINTR) continue;
        die("accept4");
      }
      set_option(connection.get(), IPPROTO_TCP, TCP_NODELAY, 1);
      echo_stream(connection.get(), buffer);
    }
  }).detach();
}

// `socket` is bound and blocking.
inline void serve_blocking_datagrams(UniqueFd socket) {
  std::thread([fd = std::move(socket)] {
    std::vector<char> buffer(65536);
    while (true) {
      sockaddr_storage from{};
      socklen_t length = sizeof from;
      auto* peer = reinterpret_cast<sockaddr*>(&from);
      const ssize_t got = ::recvfrom(fd.get(), buffer.data(), buffer.size(), 0, peer, &length);
      // An error is one that a peer caused, such as a port that closed.
      if (got >= 0) {
        ::sendto(fd.get(), buffer.data(), static_cast<std::size_t>(got), 0, peer, length);
      }
    }
  }).detach();
}

}  // namespace sluice::bench
