#include "virtio/ring/inflight_packed.h"

#include <gtest/gtest.h>

#include "unit/virtio/mock_packed_driver.h"
#include "virtio/ring/virtqueue.h"

namespace sluice::virtio::test {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

class InflightPackedTest : public testing::Test {
 protected:
  void SetUp() override {
    config_ = driver_.config();
    config_.inflight = region();
    start();
  }
  [[nodiscard]] MutableBytes region() {
    return {reinterpret_cast<std::uint8_t*>(region_.data()), InflightPacked::region_size(8)};
  }
  // As a back-end does that knows nothing but the region.
  void start() { ASSERT_TRUE(queue_.start(driver_.memory(), config_)); }
  void offer(std::initializer_list<std::size_t> pieces) {
    for (const std::size_t count : pieces) {
      std::vector<MockBuffer> chain;
      for (std::size_t i = 0; i < count; ++i) {
        chain.push_back(driver_.readable(std::vector<std::uint8_t>(10 * count + i)));
      }
      ASSERT_TRUE(driver_.offer(chain));
    }
    driver_.show();
  }
  std::vector<std::uint16_t> take(std::size_t chains) {
    std::vector<std::uint16_t> ids;
    const auto taken = queue_.take(chains);
    if (!taken) return ids;
    for (const Chain& chain : *taken) ids.push_back(chain.id);
    return ids;
  }
  void give_all() {
    for (const Chain& chain : queue_.held()) queue_.give(chain, 0);
    queue_.publish();
  }

  MockPackedDriver driver_{{.size = 8, .features = {.packed = true}, .base = kPackedStart}};
  std::vector<std::uint64_t> region_ = std::vector<std::uint64_t>(4 + 4 * 8);
  QueueConfig config_;
  Virtqueue queue_;
};

using Ids = std::vector<std::uint16_t>;

TEST_F(InflightPackedTest, WhatWasTakenAndNotGivenBackComesFirstAndInOrder) {
  offer({1, 2, 1, 2});
  EXPECT_EQ(take(3), (Ids{0, 1, 2}));
  const Chain third = queue_.held()[2];
  queue_.give(third, 0);
  queue_.publish();
  // Its used descriptor lies where the first one's was.
  EXPECT_EQ(driver_.take_used()->id, 2);
  start();
  EXPECT_TRUE(queue_.enable_kicks());
  EXPECT_EQ(take(8), (Ids{0, 1, 3}));
  EXPECT_EQ(queue_.held()[0].readable_bytes, 10U);
  EXPECT_EQ(queue_.held()[1].readable_bytes, 41U);
  give_all();
  for (const std::uint16_t id : Ids{0, 1, 3}) EXPECT_EQ(driver_.take_used()->id, id);
  start();
  EXPECT_EQ(take(8), Ids{});
}

TEST_F(InflightPackedTest, ManyTurnsLoseNoRecord) {
  for (int round = 0; round < 1000; ++round) {
    offer({2, 1, 1});
    if (round % 3 == 0) {
      EXPECT_EQ(take(2).size(), 2U);
      queue_.put_back(1);
    }
    if (round % 5 == 0) start();
    (void)take(8);
    if (round % 7 == 0) {
      start();
      (void)take(8);
    }
    ASSERT_EQ(queue_.held().size(), 3U) << round;
    give_all();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(driver_.take_used());
  }
}

TEST_F(InflightPackedTest, WhatIsPutBackIsNotInFlight) {
  offer({1, 2, 1});
  EXPECT_EQ(take(3), (Ids{0, 1, 2}));
  queue_.put_back(2);
  start();
  EXPECT_EQ(take(8), (Ids{0, 1, 2}));
  queue_.put_back(3);
  EXPECT_EQ(take(8), (Ids{0, 1, 2}));
  give_all();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(driver_.take_used());
}

TEST_F(InflightPackedTest, ABatchThatTheDriverSawIsNotTakenAgain) {
  offer({1, 1, 1, 1});
  (void)take(4);
  queue_.give(queue_.held()[0], 0);
  queue_.give(queue_.held()[1], 0);
  const std::vector<std::uint64_t> given = region_;
  queue_.publish();
  // The end came between the ring's store and the region's.
  const std::uint16_t free = load_word<std::uint16_t>(region().data() + 12, kRelaxed);
  region_ = given;
  store_word(region().data() + 12, free, kRelaxed);
  store_word<std::uint16_t>(region().data() + 16, 2, kRelaxed);
  store_word<std::uint16_t>(region().data() + 32 + 32 * 1 + 2, 0, kRelaxed);
  store_word<std::uint16_t>(region().data() + 32 + 32 * 0 + 2, 4, kRelaxed);
  start();
  EXPECT_EQ(take(8), (Ids{2, 3}));
}

TEST_F(InflightPackedTest, ABatchThatTheDriverDidNotSeeIsTakenAgain) {
  offer({1, 1, 1, 1});
  (void)take(4);
  queue_.give(queue_.held()[0], 0);
  start();
  EXPECT_EQ(take(8), (Ids{0, 1, 2, 3}));
}

TEST_F(InflightPackedTest, ARegionThatCannotBeIsRefused) {
  offer({1, 2});
  (void)take(2);
  const std::vector<std::uint64_t> good = region_;
  const auto refused_with = [&](std::size_t at, std::uint16_t value) {
    region_ = good;
    store_word(region().data() + at, value, kRelaxed);
    const auto started = queue_.start(driver_.memory(), config_);
    return !started && started.error() == RingFault::kBadInflight;
  };
  EXPECT_TRUE(refused_with(8, 3));            // The version,
  EXPECT_TRUE(refused_with(10, 7));           // the size,
  EXPECT_TRUE(refused_with(16, 8));           // the used index,
  EXPECT_TRUE(refused_with(18, 0xffff));      // the old one.
  EXPECT_TRUE(refused_with(32 + 6, 0));       // A chain of nothing,
  EXPECT_TRUE(refused_with(32 + 6, 9));       // of too many,
  EXPECT_TRUE(refused_with(32 + 6, 2));       // of another one's record,
  EXPECT_TRUE(refused_with(32 + 32 + 2, 8));  // of one outside,
  EXPECT_TRUE(refused_with(32 + 32 + 2, 1));  // of its own again.
  region_ = good;
  EXPECT_TRUE(queue_.start(driver_.memory(), config_));
  config_.inflight = region().first(region().size() - 1);
  EXPECT_FALSE(queue_.start(driver_.memory(), config_));
}

}  // namespace
}  // namespace sluice::virtio::test
