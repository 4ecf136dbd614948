// What listens where a run would, and says what the test wants.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "control/run_address.h"
#include "sys/kernel.h"
#include "sys/unix_socket.h"

namespace sluice::web {

class FakeRun {
 public:
  FakeRun() {
    auto bound = sys::bind_unix(sys::real_kernel(), SOCK_STREAM,
                                control::socket_name(::getuid(), name), 0600);
    EXPECT_TRUE(bound.has_value());
    listener_ = std::move(*bound);
    EXPECT_EQ(::listen(listener_.get(), 4), 0);
  }
  // The next client; it stays the one that is spoken to.
  void accept() { client_ = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK)); }
  [[nodiscard]] bool has_client() const { return client_.valid(); }
  void say(std::string_view text) const {
    EXPECT_EQ(::send(client_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // What has come.
  [[nodiscard]] std::string hear() const {
    char bytes[4096];
    const ssize_t got = ::recv(client_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    return got > 0 ? std::string(bytes, static_cast<std::size_t>(got)) : std::string();
  }
  void hang_up() { client_.reset(); }

  std::string name = fmt::format("w{}x{}", ::getpid() % 100'000, next_++);

 private:
  static inline int next_ = 0;
  sys::KernelFd listener_;
  UniqueFd client_;
};

}  // namespace sluice::web
