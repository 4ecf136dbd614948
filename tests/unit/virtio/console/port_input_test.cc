#include "virtio/console/port_input.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "unit/virtio/mock_drivers.h"

namespace sluice::virtio::test {
namespace {

class PortInputTest : public testing::TestWithParam<RingFeatures> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(input_.ring().start(driver_->memory(), driver_->config()).has_value());
  }
  std::size_t room() {
    const auto pieces = input_.room();
    EXPECT_TRUE(pieces.has_value());
    std::size_t bytes = 0;
    if (!pieces) return bytes;
    for (const MutableBytes piece : *pieces) {
      std::ranges::fill(piece, std::uint8_t{0x5a});
      bytes += piece.size();
    }
    return bytes;
  }

  std::unique_ptr<MockDriver> driver_ =
      make_mock_driver({.size = 32,
                        .features = GetParam(),
                        .base = GetParam().packed ? kPackedStart : 0,
                        .data_bytes = 65'536});
  PortInput input_;
};

TEST_P(PortInputTest, BytesFillBuffersInTheirOrder) {
  const MockBuffer first = driver_->writable(8);
  const MockBuffer second = driver_->writable(8);
  driver_->offer({first});
  driver_->offer({second});
  driver_->show();
  EXPECT_EQ(room(), 16U);
  EXPECT_TRUE(input_.fill(11));
  EXPECT_EQ(driver_->take_used()->written, 8U);
  EXPECT_EQ(driver_->take_used()->written, 3U);
  EXPECT_EQ(driver_->at(first)[7], 0x5a);
}

TEST_P(PortInputTest, WhatIsNotFilledIsThereForTheNext) {
  driver_->offer({driver_->writable(8)});
  driver_->offer({driver_->writable(8)});
  driver_->show();
  EXPECT_EQ(room(), 16U);
  EXPECT_FALSE(input_.fill(0));
  EXPECT_FALSE(driver_->take_used().has_value());
  EXPECT_EQ(room(), 16U);
  EXPECT_TRUE(input_.fill(2));
  EXPECT_EQ(driver_->take_used()->written, 2U);
  EXPECT_EQ(room(), 8U);
  (void)input_.fill(0);
}

TEST_P(PortInputTest, WithoutRoomItAsksForAKick) {
  EXPECT_EQ(room(), 0U);
  driver_->offer({driver_->writable(8)});
  driver_->show();
  EXPECT_TRUE(driver_->kick_wanted());
  EXPECT_EQ(room(), 8U);
}

TEST_P(PortInputTest, ABufferThatCannotBeWrittenBreaksTheQueue) {
  driver_->offer({driver_->readable(std::vector<std::uint8_t>(4))});
  driver_->show();
  EXPECT_FALSE(input_.room().has_value());
}

INSTANTIATE_TEST_SUITE_P(Formats, PortInputTest,
                         testing::Values(RingFeatures{}, RingFeatures{.event_index = true},
                                         RingFeatures{.packed = true}));

TEST(PortInput, AStoppedOneHasNoRoom) {
  PortInput input;
  const auto room = input.room();
  ASSERT_TRUE(room.has_value());
  EXPECT_TRUE(room->empty());
}

}  // namespace
}  // namespace sluice::virtio::test
