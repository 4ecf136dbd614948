#include "virtio/ring/inflight_split.h"

#include <gtest/gtest.h>

#include "unit/virtio/mock_split_driver.h"
#include "virtio/ring/virtqueue.h"

namespace sluice::virtio::test {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

class InflightSplitTest : public testing::Test {
 protected:
  void SetUp() override {
    config_ = driver_.config();
    config_.inflight = region();
    start();
  }
  [[nodiscard]] MutableBytes region() {
    return {reinterpret_cast<std::uint8_t*>(region_.data()), InflightSplit::region_size(8)};
  }
  // As a back-end does that knows nothing but the region.
  void start() { ASSERT_TRUE(queue_.start(driver_.memory(), config_)); }
  void offer(int chains) {
    for (int i = 0; i < chains; ++i) {
      ASSERT_TRUE(driver_.offer({driver_.readable(std::vector<std::uint8_t>(4))}));
    }
    driver_.show();
  }
  std::vector<std::uint16_t> take(std::size_t chains) {
    std::vector<std::uint16_t> heads;
    const auto taken = queue_.take(chains);
    if (!taken) return heads;
    for (const Chain& chain : *taken) heads.push_back(chain.id);
    return heads;
  }
  [[nodiscard]] bool in_flight(std::size_t head) { return region()[16 + 16 * head] != 0; }

  MockSplitDriver driver_{{.size = 8}};
  std::vector<std::uint64_t> region_ = std::vector<std::uint64_t>(2 + 2 * 8);
  QueueConfig config_;
  Virtqueue queue_;
};

using Heads = std::vector<std::uint16_t>;

TEST_F(InflightSplitTest, ANewRegionIsMadeReady) {
  EXPECT_EQ(load_word<std::uint16_t>(region().data() + 8, kRelaxed), 1);
  EXPECT_EQ(load_word<std::uint16_t>(region().data() + 10, kRelaxed), 8);
}

TEST_F(InflightSplitTest, WhatWasTakenAndNotGivenBackComesFirstAndInOrder) {
  offer(5);
  EXPECT_EQ(take(4), (Heads{0, 1, 2, 3}));
  const Chain second = queue_.held()[1];
  queue_.give(second, 0);
  queue_.publish();
  EXPECT_FALSE(in_flight(1));
  EXPECT_TRUE(in_flight(2));
  start();
  EXPECT_TRUE(queue_.enable_kicks());
  EXPECT_EQ(take(8), (Heads{0, 2, 3, 4}));
  for (const Chain& chain : queue_.held()) queue_.give(chain, 0);
  queue_.publish();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(driver_.take_used());
  start();
  EXPECT_EQ(take(8), Heads{});
}

TEST_F(InflightSplitTest, WhatIsPutBackIsNotInFlight) {
  offer(3);
  EXPECT_EQ(take(3), (Heads{0, 1, 2}));
  queue_.put_back(2);
  EXPECT_TRUE(in_flight(0));
  EXPECT_FALSE(in_flight(1));
  start();
  EXPECT_EQ(take(8), (Heads{0, 1, 2}));
  // Of those that are taken again, too.
  queue_.put_back(3);
  EXPECT_EQ(take(8), (Heads{0, 1, 2}));
}

TEST_F(InflightSplitTest, ABatchThatTheDriverSawIsNotTakenAgain) {
  offer(4);
  (void)take(4);
  for (std::size_t i = 0; i < 2; ++i) queue_.give(queue_.held()[i], 0);
  const std::vector<std::uint64_t> given = region_;
  queue_.publish();
  // The end came behind the used index: the states say that all four are in flight.
  region_ = given;
  start();
  EXPECT_EQ(take(8), (Heads{2, 3}));
}

TEST_F(InflightSplitTest, ABatchThatTheDriverDidNotSeeIsTakenAgain) {
  offer(4);
  (void)take(4);
  for (std::size_t i = 0; i < 2; ++i) queue_.give(queue_.held()[i], 0);
  start();
  EXPECT_EQ(take(8), (Heads{0, 1, 2, 3}));
}

TEST_F(InflightSplitTest, ARegionThatCannotBeIsRefused) {
  const auto refused = [&] {
    const auto started = queue_.start(driver_.memory(), config_);
    return !started && started.error() == RingFault::kBadInflight;
  };
  config_.inflight = region().first(region().size() - 1);
  EXPECT_TRUE(refused());
  config_.inflight = region();
  store_word<std::uint16_t>(region().data() + 8, 2, kRelaxed);
  EXPECT_TRUE(refused());
  store_word<std::uint16_t>(region().data() + 8, 1, kRelaxed);
  store_word<std::uint16_t>(region().data() + 10, 16, kRelaxed);
  EXPECT_TRUE(refused());
}

TEST_F(InflightSplitTest, AListThatIsALoopOrLeadsOutsideEnds) {
  offer(4);
  (void)take(4);
  // A used index far from the ring's, and a list of one that is its own next.
  store_word<std::uint16_t>(region().data() + 14, 9, kRelaxed);
  store_word<std::uint16_t>(region().data() + 12, 2, kRelaxed);
  store_word<std::uint16_t>(region().data() + 16 + 16 * 2 + 6, 2, kRelaxed);
  start();
  EXPECT_EQ(take(3), (Heads{0, 1, 3}));
  store_word<std::uint16_t>(region().data() + 14, 9, kRelaxed);
  store_word<std::uint16_t>(region().data() + 12, 0xffff, kRelaxed);
  start();
  EXPECT_EQ(take(3), (Heads{0, 1, 3}));
}

}  // namespace
}  // namespace sluice::virtio::test
