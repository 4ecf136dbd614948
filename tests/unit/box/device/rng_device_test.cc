#include "box/device/rng_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "unit/box/device/mock_machine.h"

namespace sluice::box::test {
namespace {

class RngDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto thread = DeviceThread::create(sys::real_kernel());
    ASSERT_TRUE(thread.has_value());
    thread_ = std::move(*thread);
    auto device = RngDevice::create(*thread_, queues_.memory(), kernel_entropy,
                                    [this](std::string_view) { ++told_; });
    ASSERT_TRUE(device.has_value());
    device_ = std::move(*device);
    device_->attach(interrupt_);
  }
  void start() { ASSERT_TRUE(device_->start(device_->offered(), queues_.setups())); }

  MockQueues queues_{1, 16, 65'536};
  MockInterrupt interrupt_;
  std::unique_ptr<DeviceThread> thread_;
  std::unique_ptr<RngDevice> device_;
  int told_ = 0;
};

TEST_F(RngDeviceTest, FillsWhatIsGivenWithTheKernelsBytes) {
  start();
  const auto buffer = queues_[0].writable(64);
  queues_[0].offer({buffer});
  queues_[0].show();
  kick(*device_, 0);
  run(*thread_);
  const auto used = queues_[0].take_used();
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(used->written, 64U);
  // Zero in all of 64 bytes is one in 2^512.
  EXPECT_TRUE(std::ranges::any_of(queues_[0].at(buffer), [](std::uint8_t b) { return b != 0; }));
  EXPECT_GE(interrupt_.used_count, 1);
}

TEST_F(RngDeviceTest, MoreThanABurstIsServedTurnByTurn) {
  start();
  for (int i = 0; i < 16; ++i) queues_[0].offer({queues_[0].writable(32)});
  queues_[0].show();
  kick(*device_, 0);
  run(*thread_);
  int used = 0;
  while (queues_[0].take_used()) ++used;
  EXPECT_EQ(used, 16);
}

TEST_F(RngDeviceTest, AfterAResetItWritesNothing) {
  start();
  queues_[0].offer({queues_[0].writable(64)});
  queues_[0].show();
  kick(*device_, 0);
  device_->reset();
  run(*thread_);
  EXPECT_FALSE(queues_[0].take_used().has_value());
}

TEST_F(RngDeviceTest, ABrokenQueueIsToldOnce) {
  start();
  queues_[0].offer({{.address = 1, .length = 64, .writable = true}});
  queues_[0].show();
  for (int i = 0; i < 3; ++i) {
    kick(*device_, 0);
    run(*thread_);
  }
  EXPECT_EQ(interrupt_.reset_count, 1);
  EXPECT_EQ(told_, 1);
}

TEST_F(RngDeviceTest, HasNoConfiguration) {
  std::array<std::uint8_t, 4> config{1, 2, 3, 4};
  device_->read_config(0, config);
  EXPECT_EQ(config, (std::array<std::uint8_t, 4>{}));
  EXPECT_EQ(device_->id(), 4U);
  EXPECT_EQ(device_->queue_count(), 1U);
}

}  // namespace
}  // namespace sluice::box::test
