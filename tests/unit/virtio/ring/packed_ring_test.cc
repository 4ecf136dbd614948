// What only a packed ring can be told wrongly; what both formats do is in virtqueue_test.cc.
#include "virtio/ring/packed_ring.h"

#include <gtest/gtest.h>

#include "unit/virtio/mock_packed_driver.h"
#include "virtio/ring/virtqueue.h"

namespace sluice::virtio::test {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

class PackedRingTest : public testing::Test {
 protected:
  void begin(RingFeatures features = {}, std::size_t size = 8, std::uint32_t base = kPackedStart) {
    features.packed = true;
    driver_.emplace(MockOptions{.size = size, .features = features, .base = base});
    ASSERT_TRUE(queue_.start(driver_->memory(), driver_->config()));
  }
  std::optional<RingFault> fault() {
    const auto taken = queue_.take(8);
    return taken ? std::nullopt : std::optional(taken.error());
  }
  void pass(std::size_t chains) {
    const auto taken = queue_.take(chains);
    ASSERT_TRUE(taken);
    ASSERT_EQ(taken->size(), chains);
    for (const Chain& chain : *taken) queue_.give(chain, 0);
    queue_.publish();
    for (std::size_t i = 0; i < chains; ++i) ASSERT_TRUE(driver_->take_used());
  }
  static constexpr MockBuffer kData{MockDriver::kGuestBase + 0x8000, 4, false};

  std::optional<MockPackedDriver> driver_;
  Virtqueue queue_;
};

TEST_F(PackedRingTest, AChainWithoutAnEnd) {
  begin();
  for (int i = 0; i < 8; ++i) driver_->put(kData, Descriptor::kNext, 0);
  driver_->show();
  EXPECT_EQ(fault(), RingFault::kChainTooLong);
}

TEST_F(PackedRingTest, AChainOfTheWholeRing) {
  begin();
  ASSERT_TRUE(driver_->offer(std::vector(8, kData)));
  driver_->show();
  const auto taken = queue_.take(8);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->front().slots, 8);
  queue_.give(taken->front(), 0);
  queue_.publish();
  EXPECT_TRUE(driver_->take_used());
}

TEST_F(PackedRingTest, AChainThatRunsIntoWhatIsInOurHands) {
  begin();
  ASSERT_TRUE(driver_->offer(std::vector(5, kData)));
  driver_->show();
  ASSERT_EQ(queue_.take(1)->size(), 1U);
  for (int i = 0; i < 4; ++i) driver_->put(kData, Descriptor::kNext, 0);
  driver_->show();
  EXPECT_EQ(fault(), RingFault::kIndexRanAhead);
}

TEST_F(PackedRingTest, AnyIdComesBack) {
  begin();
  driver_->put(kData, 0, 0xfedc);
  driver_->show();
  const auto taken = queue_.take(1);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->front().id, 0xfedc);
  queue_.give(taken->front(), 0);
  queue_.publish();
  EXPECT_EQ(load_word<std::uint16_t>(driver_->descriptor(0) + 12, kRelaxed), 0xfedc);
}

TEST_F(PackedRingTest, ASizeNeedBeNoPowerOfTwo) {
  begin({}, 7);
  for (int round = 0; round < 1000; ++round) {
    const std::size_t chains = static_cast<std::size_t>(round % 3) + 1;
    for (std::size_t i = 0; i < chains; ++i) ASSERT_TRUE(driver_->offer({kData, kData}));
    driver_->show();
    pass(chains);
  }
}

TEST_F(PackedRingTest, ItStartsAnywhereInTheRing) {
  begin({}, 8, 0x0003'0003);
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(driver_->offer({kData, kData, kData}));
    driver_->show();
    pass(1);
  }
}

TEST_F(PackedRingTest, AStartOutsideOfTheRingIsRefused) {
  begin();
  QueueConfig config = driver_->config();
  config.base = 0x8000'8008;
  EXPECT_EQ(queue_.start(driver_->memory(), config).error(), RingFault::kBadStart);
  config.base = 0x8008'8000;
  EXPECT_EQ(queue_.start(driver_->memory(), config).error(), RingFault::kBadStart);
}

TEST_F(PackedRingTest, TheFirstOfABatchIsSeenLast) {
  begin();
  ASSERT_TRUE(driver_->offer({driver_->writable(8)}));
  ASSERT_TRUE(driver_->offer({driver_->writable(8)}));
  driver_->show();
  const auto taken = queue_.take(2);
  ASSERT_TRUE(taken);
  for (const Chain& chain : *taken) queue_.give(chain, 4);
  EXPECT_FALSE(driver_->take_used());
  queue_.publish();
  EXPECT_EQ(driver_->take_used(), (MockDriver::Used{0, 4}));
  EXPECT_EQ(driver_->take_used(), (MockDriver::Used{1, 4}));
}

// The place of the last question may be turns of the ring ago, so that it tells nothing.
TEST_F(PackedRingTest, WhatIsPublishedInSeveralPartsIsCalledFor) {
  begin({.event_index = true});
  const auto offer = [&](std::size_t chains) {
    for (std::size_t i = 0; i < chains; ++i) ASSERT_TRUE(driver_->offer({kData}));
    driver_->show();
  };
  offer(1);
  pass(1);
  EXPECT_TRUE(queue_.needs_call());
  driver_->want_call_behind(1);
  for (int i = 0; i < 3; ++i) {
    offer(3);
    pass(3);
  }
  EXPECT_TRUE(queue_.needs_call());
  driver_->want_calls(MockDriver::Calls::kNever);
  for (int i = 0; i < 3; ++i) {
    offer(3);
    pass(3);
  }
  EXPECT_FALSE(queue_.needs_call());
}

TEST_F(PackedRingTest, InOrderOneDescriptorStandsForABatch) {
  begin({.in_order = true});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(driver_->offer({kData, kData}));
  ASSERT_TRUE(driver_->offer({driver_->writable(8)}));
  driver_->show();
  const auto taken = queue_.take(8);
  ASSERT_TRUE(taken);
  for (const Chain& chain : *taken) queue_.give(chain, chain.writable_bytes);
  queue_.publish();
  // The id of the third at the place of the first.
  EXPECT_EQ(load_word<std::uint16_t>(driver_->descriptor(0) + 12, kRelaxed), 2);
  for (std::uint16_t i = 0; i < 3; ++i) EXPECT_EQ(driver_->take_used(), (MockDriver::Used{i, 0}));
  EXPECT_EQ(driver_->take_used(), (MockDriver::Used{3, 8}));
  EXPECT_FALSE(driver_->take_used());
}

TEST_F(PackedRingTest, WhatADescriptorSaysLaterChangesNothing) {
  begin();
  ASSERT_TRUE(driver_->offer({kData}));
  driver_->show();
  const auto taken = queue_.take(1);
  ASSERT_TRUE(taken);
  for (std::size_t at = 0; at < 16; at += 8)
    store_word(driver_->descriptor(0) + at, ~0ULL, kRelaxed);
  EXPECT_EQ(taken->front().readable.front().size(), 4U);
  queue_.give(taken->front(), 0);
  queue_.publish();
  EXPECT_EQ(driver_->take_used(), (MockDriver::Used{0, 0}));
}

}  // namespace
}  // namespace sluice::virtio::test
