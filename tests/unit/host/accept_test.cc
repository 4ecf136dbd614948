#include "host/accept.h"

#include <gtest/gtest.h>
#include <sys/un.h>

#include <array>

#include "unit/sys/fake_kernel.h"

namespace sluice::host {
namespace {

constexpr std::array kLost{ECONNABORTED, ECONNRESET,  EHOSTDOWN, EHOSTUNREACH, EINTR,
                           ENETDOWN,     ENETUNREACH, ENONET,    ENOPROTOOPT,  EOPNOTSUPP,
                           EPERM,        EPROTO,      ETIMEDOUT};
constexpr std::array kExhausted{EMFILE, ENFILE, ENOBUFS, ENOMEM};
constexpr std::array kOfListener{EBADF, EFAULT, EINVAL, ENOTSOCK, EACCES, ENOSYS};

class AcceptErrors : public testing::TestWithParam<int> {
 protected:
  sys::FakeKernel kernel;
  sys::KernelFd listener{kernel, 7};
};

class LostConnection : public AcceptErrors {};
TEST_P(LostConnection, IsSkippedForTheNext) {
  kernel.script("accept4", -1, GetParam());
  const auto accepted = accept_from(listener);
  ASSERT_TRUE(accepted.has_value()) << accepted.error().describe();
  ASSERT_TRUE(accepted->has_value());
  EXPECT_EQ(wire::to_string((*accepted)->peer.value()), "127.0.0.1:4321");
  EXPECT_EQ(kernel.count("accept4"), 2U);
  EXPECT_FALSE(sys::is_exhaustion(GetParam()));
}
INSTANTIATE_TEST_SUITE_P(Each, LostConnection, testing::ValuesIn(kLost));

class Exhaustion : public AcceptErrors {};
TEST_P(Exhaustion, IsAnErrorThatAsksForAPause) {
  kernel.script("accept4", -1, GetParam());
  const auto accepted = accept_from(listener);
  ASSERT_FALSE(accepted.has_value());
  EXPECT_EQ(accepted.error(), (sys::SysError{sys::SysOp::kAccept, GetParam()}));
  EXPECT_TRUE(sys::is_exhaustion(accepted.error().error));
  EXPECT_FALSE(is_lost_connection(GetParam()));
  EXPECT_EQ(kernel.count("accept4"), 1U);
}
INSTANTIATE_TEST_SUITE_P(Each, Exhaustion, testing::ValuesIn(kExhausted));

class ListenerError : public AcceptErrors {};
TEST_P(ListenerError, EndsTheTurnAndAsksForNoPause) {
  kernel.script("accept4", -1, GetParam());
  const auto accepted = accept_from(listener);
  ASSERT_FALSE(accepted.has_value());
  EXPECT_EQ(accepted.error().error, GetParam());
  EXPECT_FALSE(sys::is_exhaustion(accepted.error().error));
  EXPECT_EQ(kernel.count("accept4"), 1U);
}
INSTANTIATE_TEST_SUITE_P(Each, ListenerError, testing::ValuesIn(kOfListener));

class AcceptTest : public testing::Test {
 protected:
  sys::FakeKernel kernel;
  sys::KernelFd listener{kernel, 7};
};

TEST_F(AcceptTest, AnEmptyQueueIsNoError) {
  kernel.script("accept4", -1, EAGAIN);
  const auto accepted = accept_from(listener);
  ASSERT_TRUE(accepted.has_value());
  EXPECT_FALSE(accepted->has_value());
}

TEST_F(AcceptTest, EndlessAbortsDoNotSpin) {
  for (int i = 0; i < 100; ++i) kernel.script("accept4", -1, ECONNABORTED);
  const auto accepted = accept_from(listener);
  ASSERT_TRUE(accepted.has_value());
  EXPECT_FALSE(accepted->has_value());
  EXPECT_LT(kernel.count("accept4"), 100U);
}

TEST_F(AcceptTest, WhatIsAcceptedIsOwned) {
  {
    const auto accepted = accept_from(listener);
  }
  EXPECT_EQ(kernel.closed.size(), 1U);
  EXPECT_EQ(kernel.last("accept4")->first, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

TEST(AcceptReal, AUnixClientHasNoEndpoint) {
  const sys::KernelFd listener(sys::real_kernel(),
                               ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un name{};  // The kernel chooses an abstract name.
  name.sun_family = AF_UNIX;
  socklen_t length = sizeof(sa_family_t);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&name), length), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  length = sizeof name;
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &length), 0);
  const sys::KernelFd client(sys::real_kernel(), ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&name), length), 0);
  const auto accepted = accept_from(listener);
  ASSERT_TRUE(accepted.has_value());
  ASSERT_TRUE(accepted->has_value());
  EXPECT_TRUE((*accepted)->socket.valid());
  EXPECT_FALSE((*accepted)->peer.has_value());
}

TEST(AcceptShareTest, GrowsWhileMoreAreWaitingAndShrinksToWhatCame) {
  AcceptShare share;
  EXPECT_EQ(share.most(), 1U);
  for (const std::uint32_t grown : {2U, 4U, 8U, 16U, 32U, 64U, 64U}) {
    share.took(share.most());
    EXPECT_EQ(share.most(), grown);
  }
  share.took(5);
  EXPECT_EQ(share.most(), 5U);
  share.took(0);
  EXPECT_EQ(share.most(), 1U);
}

}  // namespace
}  // namespace sluice::host
