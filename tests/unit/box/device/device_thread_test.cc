#include "box/device/device_thread.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <vector>

#include "unit/box/device/mock_machine.h"

namespace sluice::box::test {
namespace {

class DeviceThreadTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = DeviceThread::create(sys::real_kernel());
    ASSERT_TRUE(made.has_value());
    thread_ = std::move(*made);
  }
  void start() {
    ASSERT_TRUE(thread_->start([] { return std::expected<void, sys::SetupError>(); }).has_value());
  }
  static void write(int fd) {
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(fd, &one, sizeof one), 8);
  }

  UniqueFd event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::unique_ptr<DeviceThread> thread_;
};

TEST_F(DeviceThreadTest, WhoAsksWaitsUntilItIsDoneInTheThread) {
  start();
  std::thread::id where;
  for (int i = 0; i < 100; ++i) {
    int done = 0;
    thread_->ask([&] {
      where = std::this_thread::get_id();
      done = i + 1;
    });
    ASSERT_EQ(done, i + 1);
  }
  EXPECT_NE(where, std::this_thread::get_id());
}

TEST_F(DeviceThreadTest, SeveralMayAskAtOnce) {
  start();
  int sum = 0;
  std::vector<std::thread> askers;
  for (int i = 0; i < 4; ++i) {
    askers.emplace_back([&] {
      for (int k = 0; k < 50; ++k) thread_->ask([&] { ++sum; });
    });
  }
  for (std::thread& asker : askers) asker.join();
  EXPECT_EQ(sum, 200);
}

TEST_F(DeviceThreadTest, WithoutAThreadItIsDoneAtOnce) {
  bool done = false;
  thread_->ask([&] { done = true; });
  EXPECT_TRUE(done);
  start();
  thread_->stop();
  done = false;
  thread_->ask([&] { done = true; });
  EXPECT_TRUE(done);
}

TEST_F(DeviceThreadTest, TheThreadItselfDoesNotWaitForItself) {
  start();
  bool done = false;
  thread_->ask([&] { thread_->ask([&] { done = true; }); });
  EXPECT_TRUE(done);
}

TEST_F(DeviceThreadTest, WhatWasPostedIsDoneBeforeTheEnd) {
  start();
  std::vector<int> order;
  for (int i = 0; i < 10; ++i) thread_->post([&order, i] { order.push_back(i); });
  thread_->stop();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST_F(DeviceThreadTest, OneThatCannotConfineItselfDoesNotStart) {
  const auto started = thread_->start([] {
    return std::expected<void, sys::SetupError>(std::unexpected(sys::SetupError{"x", 0, ""}));
  });
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().step, "x");
  thread_->stop();
}

TEST_F(DeviceThreadTest, AWatchIsCalledWhileItsDescriptorIsReadyAndItIsThere) {
  int calls = 0;
  auto watch = thread_->watch(event_.get(), EPOLLIN, [&](std::uint32_t events) {
    EXPECT_EQ(events, static_cast<std::uint32_t>(EPOLLIN));
    ++calls;
  });
  ASSERT_TRUE(watch.has_value());
  thread_->turn(Instant{});
  EXPECT_EQ(calls, 0);
  write(event_.get());
  thread_->turn(kNever);
  thread_->turn(kNever);
  EXPECT_EQ(calls, 2);
  watch->change(0);
  thread_->turn(Instant{});
  EXPECT_EQ(calls, 2);
  watch->change(EPOLLIN);
  thread_->turn(kNever);
  EXPECT_EQ(calls, 3);
  watch->reset();
  thread_->turn(Instant{});
  EXPECT_EQ(calls, 3);
}

TEST_F(DeviceThreadTest, OneThatForgetsItselfAndOthersIsNotCalledAgain) {
  const UniqueFd other(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  DeviceThread::Watch first;
  DeviceThread::Watch second;
  int calls = 0;
  const auto forget = [&](std::uint32_t) {
    ++calls;
    first.reset();
    second.reset();
  };
  first = *thread_->watch(event_.get(), EPOLLIN, forget);
  second = *thread_->watch(other.get(), EPOLLIN, forget);
  write(event_.get());
  for (int i = 0; i < 3; ++i) thread_->turn(Instant{});
  EXPECT_EQ(calls, 1);
}

TEST_F(DeviceThreadTest, AnInterruptIsPulsedOnceForEachTimeItIsFound) {
  int pulses = 0;
  const auto watch = thread_->watch_interrupt(event_.get(), [&] { ++pulses; });
  ASSERT_TRUE(watch.has_value());
  write(event_.get());
  write(event_.get());
  run(*thread_);
  EXPECT_EQ(pulses, 1);
  write(event_.get());
  run(*thread_);
  EXPECT_EQ(pulses, 2);
}

TEST_F(DeviceThreadTest, AFileCannotBeWaitedFor) {
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto watch = thread_->watch(file.get(), EPOLLIN, [](std::uint32_t) {});
  ASSERT_FALSE(watch.has_value());
  EXPECT_EQ(watch.error().error, EPERM);
}

TEST_F(DeviceThreadTest, WhatIsPostedByACallComesInTheNextTurn) {
  int done = 0;
  thread_->post([&] {
    ++done;
    thread_->post([&] { ++done; });
  });
  thread_->turn(kNever);
  EXPECT_EQ(done, 1);
  thread_->turn(kNever);
  EXPECT_EQ(done, 2);
}

}  // namespace
}  // namespace sluice::box::test
