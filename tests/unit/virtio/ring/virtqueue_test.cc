#include "virtio/ring/virtqueue.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/virtio/ring/virtqueue_fixture.h"

namespace sluice::virtio::test {
namespace {

class EventIndexTest : public VirtqueueTest {};

TEST_P(VirtqueueTest, WhatIsNotShownIsNotTaken) {
  begin();
  ASSERT_TRUE(driver_->offer({driver_->readable(numbered(4, 1))}));
  ASSERT_TRUE(queue_.take(8));
  EXPECT_TRUE(queue_.take(8)->empty());
  driver_->show();
  EXPECT_EQ(pass(), (std::vector<Bytes>{numbered(4, 1)}));
}

TEST_P(VirtqueueTest, PiecesComeInOrderAndWrittenBytesArrive) {
  begin();
  const MockBuffer room = driver_->writable(100);
  const auto id = driver_->offer(
      {driver_->readable(numbered(4, 1)), driver_->readable(numbered(6, 50)), room}, form());
  ASSERT_TRUE(id);
  driver_->show();
  const auto taken = queue_.take(8);
  ASSERT_TRUE(taken);
  ASSERT_EQ(taken->size(), 1U);
  const Chain& chain = taken->front();
  EXPECT_EQ(chain.readable.size(), 2U);
  EXPECT_EQ(chain.readable_bytes, 10U);
  EXPECT_EQ(chain.writable_bytes, 100U);
  Bytes expected = numbered(4, 1);
  std::ranges::copy(numbered(6, 50), std::back_inserter(expected));
  EXPECT_EQ(content_of(chain), expected);
  EXPECT_EQ(chain.writable.front().data(), driver_->at(room).data());
  queue_.give(chain, 7);
  EXPECT_FALSE(driver_->take_used());
  queue_.publish();
  EXPECT_EQ(driver_->take_used(), (MockDriver::Used{*id, 7}));
  EXPECT_FALSE(driver_->take_used());
}

TEST_P(VirtqueueTest, ManyTurnsOfTheRing) {
  begin();
  for (unsigned round = 0; round < 40'000; ++round) {
    const std::size_t count = round % 3 + 1;
    for (std::size_t i = 0; i < count; ++i) {
      const auto first = static_cast<std::uint8_t>(round + i);
      ASSERT_TRUE(driver_->offer(
          {driver_->readable(numbered(1, first)), driver_->readable(numbered(1, 7))}, form()));
    }
    driver_->show();
    const std::vector<Bytes> passed = pass();
    ASSERT_EQ(passed.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(passed[i], (Bytes{static_cast<std::uint8_t>(round + i), 7}));
      ASSERT_TRUE(driver_->take_used());
    }
    ASSERT_FALSE(driver_->take_used());
  }
}

TEST_P(VirtqueueTest, TheWholeRingAtOnce) {
  begin();
  for (unsigned i = 0; i < 8; ++i) ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, i))}));
  EXPECT_FALSE(driver_->offer({driver_->readable(numbered(3, 9))}));
  driver_->show();
  EXPECT_EQ(pass().size(), 8U);
  EXPECT_TRUE(pass().empty());
  for (unsigned i = 0; i < 8; ++i) ASSERT_TRUE(driver_->take_used());
}

TEST_P(VirtqueueTest, WhatIsPutBackComesAgain) {
  begin();
  for (unsigned i = 0; i < 5; ++i) ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, i))}));
  driver_->show();
  const auto taken = queue_.take(5);
  ASSERT_TRUE(taken);
  ASSERT_EQ(taken->size(), 5U);
  queue_.give((*taken)[0], 0);
  queue_.give((*taken)[1], 0);
  queue_.put_back(3);
  EXPECT_EQ(queue_.outstanding(), 0U);
  queue_.publish();
  EXPECT_EQ(pass(), (std::vector<Bytes>{numbered(3, 2), numbered(3, 3), numbered(3, 4)}));
  for (unsigned i = 0; i < 5; ++i) ASSERT_TRUE(driver_->take_used());
}

TEST_P(VirtqueueTest, TheNextDeviceGoesOnWhereThisOneEnded) {
  begin();
  for (unsigned i = 0; i < 6; ++i) ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, i))}));
  driver_->show();
  const auto first = queue_.take(2);
  ASSERT_TRUE(first);
  for (const Chain& chain : *first) queue_.give(chain, 0);
  queue_.publish();
  // Taken, and not given back: the next device takes it again.
  ASSERT_EQ(queue_.take(1)->size(), 1U);
  QueueConfig config = driver_->config();
  config.base = queue_.base();
  queue_.stop();
  ASSERT_FALSE(queue_.take(1));
  ASSERT_TRUE(queue_.start(driver_->memory(), config));
  EXPECT_EQ(pass(),
            (std::vector<Bytes>{numbered(3, 2), numbered(3, 3), numbered(3, 4), numbered(3, 5)}));
  for (unsigned i = 0; i < 6; ++i) ASSERT_TRUE(driver_->take_used());
}

TEST_P(VirtqueueTest, TheFirstCallComes) {
  begin();
  ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
  driver_->show();
  EXPECT_FALSE(queue_.needs_call());
  EXPECT_EQ(pass().size(), 1U);
  EXPECT_TRUE(queue_.needs_call());
  EXPECT_FALSE(queue_.needs_call());
}

TEST_P(VirtqueueTest, ACallIsAsTheDriverWantsIt) {
  begin();
  unsigned calls = 0;
  const auto pass_one = [&] {
    ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
    driver_->show();
    ASSERT_EQ(pass().size(), 1U);
    calls += queue_.needs_call() ? 1 : 0;
    ASSERT_TRUE(driver_->take_used());
  };
  pass_one();
  calls = 0;
  driver_->want_calls(MockDriver::Calls::kNever);
  for (int i = 0; i < 100; ++i) pass_one();
  EXPECT_EQ(calls, 0U);
  for (int i = 0; i < 100; ++i) {
    driver_->want_calls(GetParam().features.event_index ? MockDriver::Calls::kAtNextUsed
                                                        : MockDriver::Calls::kAlways);
    pass_one();
  }
  EXPECT_EQ(calls, 100U);
}

TEST_P(EventIndexTest, AnEventIndexGathersCalls) {
  begin();
  const auto pass_one = [&] {
    EXPECT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
    driver_->show();
    EXPECT_EQ(pass().size(), 1U);
    const bool call = queue_.needs_call();
    EXPECT_TRUE(driver_->take_used());
    return call;
  };
  (void)pass_one();
  for (int round = 0; round < 50; ++round) {
    driver_->want_call_behind(2);
    EXPECT_FALSE(pass_one());
    EXPECT_FALSE(pass_one());
    EXPECT_TRUE(pass_one());
    EXPECT_FALSE(pass_one());
  }
}

TEST_P(VirtqueueTest, KicksAreWantedOnceEnabled) {
  begin();
  queue_.disable_kicks();
  for (int round = 0; round < 50; ++round) {
    ASSERT_FALSE(queue_.enable_kicks());
    ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
    driver_->show();
    EXPECT_TRUE(driver_->kick_wanted());
    // It may be that it came before kicks were enabled: then nobody kicks for it.
    ASSERT_TRUE(queue_.enable_kicks());
    queue_.disable_kicks();
    ASSERT_EQ(pass().size(), 1U);
    ASSERT_TRUE(driver_->take_used());
    ASSERT_TRUE(driver_->offer({driver_->readable(numbered(3, 1))}));
    driver_->show();
    EXPECT_FALSE(driver_->kick_wanted());
    ASSERT_EQ(pass().size(), 1U);
    ASSERT_TRUE(driver_->take_used());
  }
}

TEST_P(VirtqueueTest, ABufferMayLieAcrossRegions) {
  begin();
  Bytes other(256, 9);
  const MutableBytes all = driver_->bytes();
  ASSERT_TRUE(driver_->memory().add({.guest_address = MockDriver::kGuestBase + all.size(),
                                     .user_address = 0x1000,
                                     .bytes = other}));
  const MockBuffer buffer{MockDriver::kGuestBase + all.size() - 3, 10, false};
  ASSERT_TRUE(driver_->offer({buffer}, form()));
  driver_->show();
  const auto taken = queue_.take(1);
  ASSERT_TRUE(taken);
  ASSERT_EQ(taken->front().readable.size(), 2U);
  EXPECT_EQ(taken->front().readable[1].data(), other.data());
  EXPECT_EQ(taken->front().readable_bytes, 10U);
}

TEST_P(VirtqueueTest, WrittenPagesAreLogged) {
  begin();
  Bytes bitmap((MockDriver::kGuestBase + driver_->bytes().size()) / DirtyLog::kPageSize / 8 + 1);
  driver_->memory().set_dirty_log(DirtyLog(bitmap));
  const MockBuffer room = driver_->writable(100);
  ASSERT_TRUE(driver_->offer({room}, form()));
  driver_->show();
  queue_.give(queue_.take(1)->front(), 5);
  queue_.publish();
  const auto logged = [&](std::uint64_t address) {
    const std::uint64_t page = address / DirtyLog::kPageSize;
    return (bitmap[page / 8] >> (page % 8) & 1) != 0;
  };
  EXPECT_TRUE(logged(room.address));
  EXPECT_TRUE(logged(MockDriver::kGuestBase));
  EXPECT_FALSE(logged(room.address + 2 * DirtyLog::kPageSize));
}

TEST(Virtqueue, AStoppedQueueHasNothing) {
  Virtqueue queue;
  EXPECT_FALSE(queue.started());
  EXPECT_EQ(queue.take(1).error(), RingFault::kNotStarted);
  EXPECT_FALSE(queue.enable_kicks());
  EXPECT_FALSE(queue.needs_call());
  EXPECT_EQ(queue.base(), 0U);
  EXPECT_TRUE(queue.held().empty());
}

INSTANTIATE_TEST_SUITE_P(Formats, VirtqueueTest,
                         testing::Values(kSplit, kSplitEventIndirect, kSplitInOrder, kPacked,
                                         kPackedEventIndirect, kPackedInOrder),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Formats, EventIndexTest,
                         testing::Values(kSplitEventIndirect, kSplitInOrder, kPackedEventIndirect,
                                         kPackedInOrder),
                         name_of);

}  // namespace
}  // namespace sluice::virtio::test
