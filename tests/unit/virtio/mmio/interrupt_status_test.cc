#include "virtio/mmio/interrupt_status.h"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::virtio {
namespace {

TEST(InterruptStatus, AnAcknowledgementTakesOnlyWhatItNames) {
  InterruptStatus status;
  status.set_used();
  status.change_config();
  EXPECT_EQ(status.bits(), 3U);
  status.acknowledge(InterruptStatus::kUsed);
  EXPECT_EQ(status.bits(), 2U);
  status.acknowledge(0xffff'fffc);
  EXPECT_EQ(status.bits(), 2U);
}

TEST(InterruptStatus, TheGenerationOutlivesAReset) {
  InterruptStatus status;
  status.change_config();
  status.require_reset();
  EXPECT_TRUE(status.reset_required());
  EXPECT_EQ(status.generation(), 2U);
  status.clear();
  EXPECT_FALSE(status.reset_required());
  EXPECT_EQ(status.bits(), 0U);
  EXPECT_EQ(status.generation(), 2U);
}

TEST(InterruptStatus, WhatIsKeptIsNotAcknowledged) {
  InterruptStatus status;
  status.keep_used();
  status.change_config();
  status.acknowledge(3);
  EXPECT_EQ(status.bits(), 1U);
  status.clear();
  EXPECT_EQ(status.bits(), 1U);
}

TEST(InterruptStatus, ItsWordsMayBeSomebodyElses) {
  std::uint32_t bits = 0;
  std::uint32_t generation = 0;
  InterruptStatus status(bits, generation);
  status.set_used();
  status.change_config();
  EXPECT_EQ(bits, 3U);
  EXPECT_EQ(generation, 1U);
}

// A device sets its bit after the work that the bit tells of, the driver acknowledges before it
// looks for work: so all work is seen in the end.
TEST(InterruptStatus, NothingIsLostBetweenThreads) {
  constexpr int kRounds = 20'000;
  InterruptStatus status;
  std::atomic<int> work = 0;
  std::thread device([&] {
    for (int i = 0; i < kRounds; ++i) {
      work.fetch_add(1);
      status.set_used();
    }
  });
  int seen = 0;
  while (seen < kRounds) {
    if ((status.bits() & InterruptStatus::kUsed) == 0) {
      std::this_thread::yield();
      continue;
    }
    status.acknowledge(InterruptStatus::kUsed);
    seen = work.load();
  }
  device.join();
  EXPECT_EQ(seen, kRounds);
}

}  // namespace
}  // namespace sluice::virtio
