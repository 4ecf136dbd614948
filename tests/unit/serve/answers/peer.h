// A client of a server that answers: connected, and never waited for.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "sys/sockaddr.h"

namespace sluice::serve {

class Peer {
 public:
  explicit Peer(const sys::SocketAddress& to)
      : socket_(::socket(to.get()->sa_family, SOCK_STREAM, 0)) {
    EXPECT_EQ(::connect(socket_.get(), to.get(), to.length), 0);
    EXPECT_EQ(::fcntl(socket_.get(), F_SETFL, O_NONBLOCK), 0);
  }
  void send(std::string_view text) {
    (void)::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }
  void end() { ::shutdown(socket_.get(), SHUT_WR); }
  void read() {
    char bytes[65'536];
    ssize_t got = 0;
    while ((got = ::recv(socket_.get(), bytes, sizeof bytes, 0)) > 0) {
      answer.append(bytes, static_cast<std::size_t>(got));
    }
    if (got == 0 || errno == ECONNRESET) ended = true;
  }

  std::string answer;
  bool ended = false;

 private:
  UniqueFd socket_;
};

}  // namespace sluice::serve
