// A path that somebody listens at sooner or later, and again.
#include "serve/front_end_dialer.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <filesystem>
#include <string>

#include "sys/unix_socket.h"

namespace sluice::serve {
namespace {

class FrontEndDialerTest : public ::testing::Test {
 protected:
  FrontEndDialerTest() {
    char pattern[] = "/tmp/sluice-dialer-XXXXXX";
    folder = ::mkdtemp(pattern);
    path = folder + "/vm.sock";
    auto started = FrontEndDialer::start(sys::real_kernel(), path);
    EXPECT_TRUE(started.has_value());
    dialer = std::move(*started);
  }
  ~FrontEndDialerTest() override { std::filesystem::remove_all(folder); }

  [[nodiscard]] sys::KernelFd listen() const {
    auto socket = sys::bind_unix(sys::real_kernel(), SOCK_STREAM, path, 0600);
    EXPECT_TRUE(socket.has_value());
    EXPECT_EQ(::listen(socket->get(), 4), 0);
    return std::move(*socket);
  }
  [[nodiscard]] bool comes(int timeout_ms) const {
    pollfd poll{.fd = dialer->descriptor(), .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, timeout_ms) == 1;
  }

  static constexpr int kLong = 30'000;

  std::string folder;
  std::string path;
  std::unique_ptr<FrontEndDialer> dialer;
};

TEST_F(FrontEndDialerTest, NobodyIsDialledUnasked) {
  const sys::KernelFd listener = listen();
  EXPECT_FALSE(comes(50));
  EXPECT_FALSE(dialer->take());
}

TEST_F(FrontEndDialerTest, WhoListensLateIsReachedAndReachedAgain) {
  dialer->expect();
  EXPECT_FALSE(comes(50));
  const sys::KernelFd listener = listen();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(comes(kLong));
    const auto socket = dialer->take();
    ASSERT_TRUE(socket);
    pollfd poll{.fd = listener.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&poll, 1, kLong), 1);
    const UniqueFd accepted(::accept(listener.get(), nullptr, nullptr));
    ASSERT_EQ(::send(accepted.get(), "x", 1, 0), 1);
    char byte = 0;
    EXPECT_EQ(::recv(socket->get(), &byte, 1, 0), 1);
    dialer->expect();
  }
}

TEST_F(FrontEndDialerTest, ItEndsWhileItWaits) {
  dialer->expect();
  dialer.reset();
}

}  // namespace
}  // namespace sluice::serve
