#include "driver/loopback/guest_sockets.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "agent/agent_wire.h"

namespace sluice::driver {
namespace {

constexpr auto kV4 = wire::IpFamily::kV4;
constexpr auto kV6 = wire::IpFamily::kV6;

class GuestSocketsTest : public testing::Test {
 protected:
  GuestSocketsTest() {
    auto [ours, theirs] = agent::GuestAgent::pair().value();
    agent_ = std::move(ours);
    far_ = std::move(theirs);
  }
  std::vector<wire::IpFamily> orders() {
    std::vector<wire::IpFamily> found;
    for (;;) {
      const auto fresh = agent::receive_orders(far_.get(), Duration::zero());
      if (!fresh || fresh->empty()) return found;
      for (const agent::AgentOrder& one : *fresh) {
        const auto& order = std::get<agent::SocketOrder>(one);
        EXPECT_EQ(order.count, GuestSockets::kBatch);
        found.push_back(order.socket.family);
      }
    }
  }
  void answer(wire::IpFamily family) {
    ASSERT_TRUE(sockets_.on_answer(family));
    for (std::size_t i = 0; i < GuestSockets::kBatch; ++i) {
      sys::KernelFd fd(sys::real_kernel(), ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockets_.add(family, host::TcpSocket::adopt(std::move(fd)));
    }
  }

  agent::GuestAgent agent_;
  UniqueFd far_;
  GuestSockets sockets_;
};

TEST_F(GuestSocketsTest, ThereAreNoneBeforeOneIsWanted) {
  EXPECT_FALSE(sockets_.take(kV4).valid());
  EXPECT_TRUE(sockets_.order(agent_, kV4, 1));
  EXPECT_EQ(orders(), std::vector{kV4});
}

TEST_F(GuestSocketsTest, MoreAreAskedForWhenFewAreLeft) {
  ASSERT_TRUE(sockets_.order(agent_, kV6, 0));
  ASSERT_EQ(orders().size(), 1U);
  answer(kV6);
  std::size_t taken = 0;
  while (orders().empty()) {
    ASSERT_TRUE(sockets_.take(kV6).valid());
    ++taken;
    ASSERT_TRUE(sockets_.order(agent_, kV6, 0));
  }
  EXPECT_EQ(taken, GuestSockets::kBatch - GuestSockets::kLeft);
  EXPECT_FALSE(sockets_.take(kV4).valid());  // Each family has its own.
}

TEST_F(GuestSocketsTest, WhatIsUnderWayIsBounded) {
  EXPECT_TRUE(sockets_.order(agent_, kV4, 1000));
  EXPECT_EQ(orders().size(), GuestSockets::kOrdersMax);
}

TEST_F(GuestSocketsTest, OneThatDidNotComeIsAskedForAgain) {
  ASSERT_TRUE(sockets_.order(agent_, kV4, 1));
  ASSERT_EQ(orders().size(), 1U);
  sockets_.forget_orders();
  ASSERT_TRUE(sockets_.order(agent_, kV4, 1));
  EXPECT_EQ(orders().size(), 1U);
}

TEST_F(GuestSocketsTest, WhatWasNotAskedForIsAStrangers) {
  EXPECT_FALSE(sockets_.on_answer(kV4));
  ASSERT_TRUE(sockets_.order(agent_, kV4, 1));
  EXPECT_FALSE(sockets_.on_answer(kV6));
  EXPECT_TRUE(sockets_.on_answer(kV4));
  EXPECT_FALSE(sockets_.on_answer(kV4));
}

TEST_F(GuestSocketsTest, AnAgentThatIsGoneIsNotAsked) {
  far_.reset();
  EXPECT_FALSE(sockets_.order(agent_, kV4, 1));
}

}  // namespace
}  // namespace sluice::driver
