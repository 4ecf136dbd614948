#include "virtio/console/port_output.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "unit/virtio/mock_drivers.h"

namespace sluice::virtio::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes row(std::size_t size, std::uint8_t from = 0) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), from);
  return bytes;
}

Bytes joined(std::span<const ByteView> pieces) {
  Bytes all;
  for (const ByteView piece : pieces) all.insert(all.end(), piece.begin(), piece.end());
  return all;
}

class PortOutputTest : public testing::TestWithParam<RingFeatures> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(output_.ring().start(driver_->memory(), driver_->config()).has_value());
  }
  Bytes waiting() {
    const auto pieces = output_.waiting();
    EXPECT_TRUE(pieces.has_value());
    return pieces ? joined(*pieces) : Bytes{};
  }

  std::unique_ptr<MockDriver> driver_ =
      make_mock_driver({.size = 32,
                        .features = GetParam(),
                        .base = GetParam().packed ? kPackedStart : 0,
                        .data_bytes = 65'536});
  PortOutput output_;
};

TEST_P(PortOutputTest, BytesOfSeveralChainsAreOneRow) {
  driver_->offer({driver_->readable(row(3)), driver_->readable(row(2, 3))});
  driver_->offer({driver_->readable(row(4, 5))});
  driver_->show();
  EXPECT_EQ(waiting(), row(9));
  EXPECT_TRUE(output_.take(9));
  EXPECT_TRUE(driver_->take_used().has_value());
  EXPECT_TRUE(driver_->take_used().has_value());
  EXPECT_EQ(waiting(), Bytes{});
}

TEST_P(PortOutputTest, AChainIsTheGuestsAgainOnlyWhenAllOfItWasTaken) {
  driver_->offer({driver_->readable(row(10))});
  driver_->show();
  Bytes all;
  for (std::size_t i = 0; i < 9; ++i) {
    const Bytes seen = waiting();
    ASSERT_EQ(seen.size(), 10 - i);
    all.push_back(seen.front());
    EXPECT_FALSE(output_.take(1));
    EXPECT_FALSE(driver_->take_used().has_value());
    EXPECT_EQ(output_.ring().outstanding(), 0U);
  }
  all.push_back(waiting().front());
  EXPECT_TRUE(output_.take(1));
  EXPECT_EQ(all, row(10));
  const auto used = driver_->take_used();
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(used->written, 0U);
}

TEST_P(PortOutputTest, WhatIsNotTakenComesAgain) {
  driver_->offer({driver_->readable(row(6))});
  driver_->offer({driver_->readable(row(6, 6))});
  driver_->show();
  EXPECT_EQ(waiting(), row(12));
  EXPECT_TRUE(output_.take(8));
  EXPECT_TRUE(driver_->take_used().has_value());
  EXPECT_FALSE(driver_->take_used().has_value());
  EXPECT_EQ(waiting(), row(4, 8));
  EXPECT_FALSE(output_.take(0));
  EXPECT_EQ(waiting(), row(4, 8));
}

TEST_P(PortOutputTest, AnEmptyQueueAsksForAKick) {
  EXPECT_EQ(waiting(), Bytes{});
  driver_->offer({driver_->readable(row(1))});
  driver_->show();
  EXPECT_TRUE(driver_->kick_wanted());
  EXPECT_EQ(waiting(), row(1));
}

TEST_P(PortOutputTest, MorePiecesThanAreListedComeLater) {
  std::size_t sent = 0;
  for (int i = 0; i < 10; ++i) {
    std::vector<MockBuffer> chain;
    for (int piece = 0; piece < 3; ++piece, ++sent) {
      chain.push_back(driver_->readable(row(1, static_cast<std::uint8_t>(sent))));
    }
    ASSERT_TRUE(driver_->offer(chain).has_value());
  }
  driver_->show();
  Bytes all;
  for (Bytes seen = waiting(); !seen.empty(); seen = waiting()) {
    all.insert(all.end(), seen.begin(), seen.end());
    (void)output_.take(seen.size());
  }
  EXPECT_EQ(all, row(sent));
}

TEST_P(PortOutputTest, AChainWithNothingToReadBreaksTheQueue) {
  driver_->offer({driver_->writable(16)});
  driver_->show();
  EXPECT_FALSE(output_.waiting().has_value());
  EXPECT_FALSE(output_.waiting().has_value());
}

INSTANTIATE_TEST_SUITE_P(Formats, PortOutputTest,
                         testing::Values(RingFeatures{}, RingFeatures{.event_index = true},
                                         RingFeatures{.packed = true}));

// A driver may not change what it made available, but can.
TEST(PortOutput, AChainThatShrinksBreaksTheQueue) {
  MockSplitDriver driver({.size = 8, .data_bytes = 4096});
  PortOutput output;
  ASSERT_TRUE(output.ring().start(driver.memory(), driver.config()).has_value());
  driver.offer({driver.readable(row(10))});
  driver.show();
  ASSERT_TRUE(output.waiting().has_value());
  (void)output.take(8);
  store_word<std::uint32_t>(driver.descriptor(0) + 8, 8, std::memory_order_relaxed);
  EXPECT_FALSE(output.waiting().has_value());
}

TEST(PortOutput, AStoppedOneHasNothingAndForgetsWhatWasTaken) {
  PortOutput output;
  const auto nothing = output.waiting();
  ASSERT_TRUE(nothing.has_value());
  EXPECT_TRUE(nothing->empty());
  MockSplitDriver driver({.size = 8, .data_bytes = 4096});
  for (int i = 0; i < 2; ++i) {
    MockSplitDriver fresh({.size = 8, .data_bytes = 4096});
    ASSERT_TRUE(output.ring().start(fresh.memory(), fresh.config()).has_value());
    fresh.offer({fresh.readable(row(10))});
    fresh.show();
    const auto pieces = output.waiting();
    ASSERT_TRUE(pieces.has_value());
    EXPECT_EQ(joined(*pieces), row(10));
    (void)output.take(4);
    output.stop();
  }
}

}  // namespace
}  // namespace sluice::virtio::test
