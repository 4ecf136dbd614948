// What only a split ring can be told wrongly; what both formats do is in virtqueue_test.cc.
#include "virtio/ring/split_ring.h"

#include <gtest/gtest.h>

#include "unit/virtio/mock_split_driver.h"
#include "virtio/ring/virtqueue.h"

namespace sluice::virtio::test {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

class SplitRingTest : public testing::Test {
 protected:
  void begin(const MockOptions& options = {}) {
    driver_.emplace(options);
    ASSERT_TRUE(queue_.start(driver_->memory(), driver_->config()));
  }
  void write(std::size_t index, const MockBuffer& buffer, std::uint16_t flags, std::uint16_t next) {
    std::uint8_t* const at = driver_->descriptor(index);
    store_word(at, buffer.address, kRelaxed);
    store_word(at + 8, buffer.length, kRelaxed);
    store_word(at + 12, flags, kRelaxed);
    store_word(at + 14, next, kRelaxed);
  }
  void push(std::uint16_t head) {
    driver_->push_head(head);
    driver_->show();
  }
  std::optional<RingFault> fault() {
    const auto taken = queue_.take(8);
    return taken ? std::nullopt : std::optional(taken.error());
  }
  static constexpr MockBuffer kData{MockDriver::kGuestBase + 0x8000, 4, false};

  std::optional<MockSplitDriver> driver_;
  Virtqueue queue_;
};

TEST_F(SplitRingTest, AHeadOutsideOfTheTable) {
  begin();
  push(8);
  EXPECT_EQ(fault(), RingFault::kIndexOutOfRange);
}

TEST_F(SplitRingTest, ANextOutsideOfTheTable) {
  begin();
  write(0, kData, Descriptor::kNext, 8);
  push(0);
  EXPECT_EQ(fault(), RingFault::kIndexOutOfRange);
}

TEST_F(SplitRingTest, ALoopOfOne) {
  begin();
  write(3, kData, Descriptor::kNext, 3);
  push(3);
  EXPECT_EQ(fault(), RingFault::kChainTooLong);
}

TEST_F(SplitRingTest, ALoopOfAll) {
  begin();
  for (std::uint16_t i = 0; i < 8; ++i) {
    write(i, kData, Descriptor::kNext, static_cast<std::uint16_t>((i + 1) % 8));
  }
  push(5);
  EXPECT_EQ(fault(), RingFault::kChainTooLong);
}

TEST_F(SplitRingTest, AChainOfTheWholeTableIsNoLoop) {
  begin();
  for (std::uint16_t i = 0; i < 8; ++i) {
    write(i, kData, i == 7 ? 0 : Descriptor::kNext, static_cast<std::uint16_t>(i + 1));
  }
  push(0);
  EXPECT_EQ(queue_.take(1)->front().readable.size(), 8U);
}

TEST_F(SplitRingTest, ALoopInATable) {
  begin({.size = 8, .features = {.indirect = true}});
  const std::vector<MockBuffer> chain(3, kData);
  ASSERT_TRUE(driver_->offer(chain, MockDriver::Form::kIndirect));
  driver_->show();
  const auto table = load_word<std::uint64_t>(driver_->descriptor(0), kRelaxed);
  std::uint8_t* const entries = driver_->bytes().data() + (table - MockDriver::kGuestBase);
  store_word<std::uint16_t>(entries + 16 + 14, 0, kRelaxed);  // The second one's next.
  EXPECT_EQ(fault(), RingFault::kChainTooLong);
  ASSERT_TRUE(queue_.start(driver_->memory(), driver_->config()));
  store_word<std::uint16_t>(entries + 16 + 14, 3, kRelaxed);
  EXPECT_EQ(fault(), RingFault::kIndexOutOfRange);
}

TEST_F(SplitRingTest, ATableBehindOtherDescriptors) {
  begin({.size = 8, .features = {.indirect = true}});
  ASSERT_TRUE(driver_->offer({kData, kData}, MockDriver::Form::kIndirect));
  const auto table = load_word<std::uint64_t>(driver_->descriptor(0), kRelaxed);
  write(5, kData, Descriptor::kNext, 0);
  EXPECT_NE(table, 0U);
  driver_->push_head(5);
  driver_->show();
  const auto taken = queue_.take(8);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->back().readable.size(), 3U);
}

TEST_F(SplitRingTest, ATableMayLieAtAnyAddress) {
  begin({.size = 8, .features = {.indirect = true}});
  ASSERT_TRUE(driver_->offer({kData, kData}, MockDriver::Form::kIndirect));
  const auto table = load_word<std::uint64_t>(driver_->descriptor(0), kRelaxed);
  std::uint8_t* const at = driver_->bytes().data() + (table - MockDriver::kGuestBase);
  std::memmove(at + 3, at, 32);
  write(0, {table + 3, 32, false}, Descriptor::kIndirect, 0);
  driver_->show();
  EXPECT_EQ(queue_.take(1)->front().readable_bytes, 8U);
}

TEST_F(SplitRingTest, AnIndexThatRunsAhead) {
  begin();
  for (int i = 0; i < 9; ++i) driver_->push_head(0);
  driver_->show();
  EXPECT_EQ(fault(), RingFault::kIndexRanAhead);
  begin();
  // One behind is 65,535 ahead.
  store_word<std::uint16_t>(driver_->driver_area() + 2, 0xffff, kRelaxed);
  EXPECT_EQ(fault(), RingFault::kIndexRanAhead);
}

TEST_F(SplitRingTest, TheSameHeadTwiceIsTwoChains) {
  begin();
  write(2, kData, 0, 0);
  push(2);
  push(2);
  const auto taken = queue_.take(8);
  ASSERT_TRUE(taken);
  ASSERT_EQ(taken->size(), 2U);
  for (const Chain& chain : *taken) queue_.give(chain, 0);
  queue_.publish();
  EXPECT_EQ(driver_->take_used()->id, 2);
  EXPECT_EQ(driver_->take_used()->id, 2);
}

TEST_F(SplitRingTest, WhatADescriptorSaysLaterChangesNothing) {
  begin();
  write(0, kData, 0, 0);
  push(0);
  const auto taken = queue_.take(1);
  ASSERT_TRUE(taken);
  write(0, {0, UINT32_MAX, true}, Descriptor::kNext | Descriptor::kWrite, 0xffff);
  EXPECT_EQ(taken->front().readable.front().size(), 4U);
  queue_.give(taken->front(), 0);
  queue_.publish();
  EXPECT_EQ(driver_->take_used(), (MockDriver::Used{0, 0}));
}

TEST_F(SplitRingTest, InOrderOneEntryStandsForABatch) {
  begin({.size = 8, .features = {.in_order = true}});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(driver_->offer({kData}));
  driver_->show();
  const auto taken = queue_.take(8);
  ASSERT_TRUE(taken);
  for (const Chain& chain : *taken) queue_.give(chain, 0);
  queue_.publish();
  // At the place of the first, and the others are not written.
  EXPECT_EQ(load_word<std::uint32_t>(driver_->device_area() + 4, kRelaxed), 4U);
  EXPECT_EQ(load_word<std::uint32_t>(driver_->device_area() + 4 + 8 * 4, kRelaxed), 0U);
  for (std::uint16_t i = 0; i < 5; ++i) EXPECT_EQ(driver_->take_used()->id, i);
  EXPECT_FALSE(driver_->take_used());
}

TEST_F(SplitRingTest, InOrderWhatWasWrittenHasAnEntryOfItsOwn) {
  begin({.size = 8, .features = {.in_order = true}});
  ASSERT_TRUE(driver_->offer({kData}));
  ASSERT_TRUE(driver_->offer({kData}));
  ASSERT_TRUE(driver_->offer({driver_->writable(10)}));
  ASSERT_TRUE(driver_->offer({driver_->writable(10)}));
  driver_->show();
  const auto taken = queue_.take(8);
  ASSERT_TRUE(taken);
  for (const Chain& chain : *taken) queue_.give(chain, chain.writable_bytes / 2);
  queue_.publish();
  EXPECT_EQ(driver_->take_used(), (MockDriver::Used{0, 0}));
  EXPECT_EQ(driver_->take_used(), (MockDriver::Used{1, 0}));
  EXPECT_EQ(driver_->take_used(), (MockDriver::Used{2, 5}));
  EXPECT_EQ(driver_->take_used(), (MockDriver::Used{3, 5}));
}

}  // namespace
}  // namespace sluice::virtio::test
