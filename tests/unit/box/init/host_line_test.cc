#include "box/init/host_line.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace sluice::box {
namespace {

class HostLineTest : public testing::Test {
 protected:
  HostLineTest() : line_(open()) {}
  UniqueFd open() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    host_.reset(ends[1]);
    return UniqueFd(ends[0]);
  }
  void host_says(const HostMessage& message) const {
    const auto bytes = emit(message);
    ASSERT_EQ(::write(host_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  // All messages that are there.
  std::size_t host_hears() {
    std::array<std::uint8_t, 65536> buffer{};
    ssize_t got = 0;
    std::size_t count = 0;
    while ((got = ::read(host_.get(), buffer.data(), buffer.size())) > 0) {
      reader_.push(ByteView(buffer).first(static_cast<std::size_t>(got)));
      while (true) {
        const auto next = reader_.next();
        EXPECT_TRUE(next.has_value());
        if (!next || !*next) break;
        ++count;
      }
    }
    return count;
  }

  UniqueFd host_;
  GuestMessageReader reader_;
  HostLine line_;
};

TEST_F(HostLineTest, MessagesGoBothWays) {
  line_.say(Started{});
  EXPECT_EQ(host_hears(), 1U);
  host_says(SendSignal{2});
  host_says(PowerOff{});
  EXPECT_TRUE(line_.wait() == HostMessage(SendSignal{2}));
  EXPECT_TRUE(line_.take() == HostMessage(PowerOff{}));
  EXPECT_FALSE(line_.take().has_value());
  EXPECT_FALSE(line_.lost());
}

TEST_F(HostLineTest, WhatASlowHostDoesNotTakeWaits) {
  std::size_t said = 0;
  while ((line_.events() & POLLOUT) == 0) {
    line_.say(Stage{std::string(5000, 's'), ++said});
    ASSERT_LT(said, 10'000U);
  }
  line_.say(Started{});
  std::size_t heard = host_hears();
  while ((line_.events() & POLLOUT) != 0) {
    line_.turn();
    heard += host_hears();
  }
  EXPECT_EQ(heard, said + 1);
}

TEST_F(HostLineTest, AHostThatIsGoneIsLost) {
  host_says(Window{1, 2});
  host_.reset();
  EXPECT_TRUE(line_.wait() == HostMessage(Window{1, 2})) << "what it said before is heard";
  EXPECT_FALSE(line_.wait().has_value());
  EXPECT_TRUE(line_.lost());
}

TEST_F(HostLineTest, WhatIsNoMessageLosesTheHost) {
  const std::array<std::uint8_t, 8> bytes{};
  ASSERT_EQ(::write(host_.get(), bytes.data(), bytes.size()), 8);
  EXPECT_FALSE(line_.wait().has_value());
  EXPECT_TRUE(line_.lost());
}

}  // namespace
}  // namespace sluice::box
