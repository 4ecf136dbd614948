#include "sys/event_loop.h"

#include <gtest/gtest.h>

#include <array>

#include "unit/sys/fake_kernel.h"
#include "unit/sys/loopback.h"

namespace sluice::sys {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(EventLoopFake, DeadlineBecomesATimeout) {
  FakeKernel kernel;
  auto loop = EventLoop::create(kernel).value();
  std::array<epoll_event, 4> events{};
  const Instant now{seconds(100)};
  EXPECT_EQ(loop.wait(events, now, now + seconds(2) + nanoseconds(5)).value(), 0U);
  EXPECT_EQ(kernel.timeout.tv_sec, 2);
  EXPECT_EQ(kernel.timeout.tv_nsec, 5);
  EXPECT_EQ(loop.wait(events, now, now - seconds(1)).value(), 0U);
  EXPECT_FALSE(kernel.timeout_was_null);
  EXPECT_EQ(kernel.timeout.tv_sec, 0);
  EXPECT_EQ(kernel.timeout.tv_nsec, 0);
  EXPECT_EQ(loop.wait(events, now, kNever).value(), 0U);
  EXPECT_TRUE(kernel.timeout_was_null);
}

TEST(EventLoopFake, SignalIsNoError) {
  FakeKernel kernel;
  auto loop = EventLoop::create(kernel).value();
  std::array<epoll_event, 4> events{};
  kernel.script("epoll_pwait2", -1, EINTR);
  kernel.script("epoll_pwait2", -1, EBADF);
  EXPECT_EQ(loop.wait(events, Instant{}, kNever).value(), 0U);
  EXPECT_EQ(loop.wait(events, Instant{}, kNever).error(), (SysError{SysOp::kEpollWait, EBADF}));
}

TEST(EventLoopReal, TagsComeBackAndDeadlinesHold) {
  auto loop = EventLoop::create(real_kernel()).value();
  std::array<int, 2> fds{};
  ASSERT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
  const UniqueFd out(fds[0]);
  const UniqueFd in(fds[1]);
  ASSERT_TRUE(loop.add(out.get(), EPOLLIN, 42).has_value());
  std::array<epoll_event, 4> events{};
  const Instant start = loop.now();
  EXPECT_EQ(loop.wait(events, start, start + std::chrono::milliseconds(5)).value(), 0U);
  EXPECT_GE(loop.now() - start, std::chrono::milliseconds(5));
  ASSERT_EQ(::write(in.get(), "x", 1), 1);
  ASSERT_EQ(loop.wait(events, loop.now(), kNever).value(), 1U);
  const std::uint64_t tag = events[0].data.u64;  // epoll_event is packed: no references into it.
  EXPECT_EQ(tag, 42U);
  ASSERT_TRUE(loop.remove(out.get()).has_value());
  EXPECT_FALSE(loop.modify(out.get(), EPOLLIN, 1).has_value());
  EXPECT_EQ(loop.wait(events, loop.now(), loop.now()).value(), 0U);
}

}  // namespace
}  // namespace sluice::sys
