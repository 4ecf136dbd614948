#include "link/vhost_user/ring_config.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::link {
namespace {

using virtio::Feature;
using virtio::FeatureSet;

class RingConfigTest : public ::testing::Test {
 protected:
  RingConfigTest() {
    EXPECT_TRUE(memory.add({.guest_address = 0, .user_address = kUser, .bytes = bytes}));
    ring.size = 16;
    ring.address =
        VhostVringAddress{.descriptors = kUser, .used = kUser + 0x800, .available = kUser + 0x400};
  }
  static constexpr std::uint64_t kUser = 0x7f00'0000'0000;
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(0x1000);
  virtio::GuestMemory memory;
  VhostRing ring;
};

TEST_F(RingConfigTest, ARingsAreasLieWhereItsFrontEndHasThem) {
  ring.base = 7;
  const auto config = ring_config(ring, FeatureSet{Feature::kEventIdx}, memory);
  EXPECT_EQ(config.size, 16U);
  EXPECT_EQ(config.base, 7U);
  EXPECT_TRUE(config.features.event_index);
  EXPECT_EQ(config.descriptors.data(), bytes.data());
  EXPECT_EQ(config.driver.data(), bytes.data() + 0x400);
  EXPECT_EQ(config.device.data(), bytes.data() + 0x800);
}

TEST_F(RingConfigTest, AnAreaBeyondTheMemoryIsEmpty) {
  ring.address->used = kUser + 0xff0;
  EXPECT_TRUE(ring_config(ring, FeatureSet(), memory).device.empty());
}

TEST_F(RingConfigTest, BothEndsOfAPackedRingStandWhereItsDriverDoes) {
  const FeatureSet packed{Feature::kRingPacked};
  ring.base = 0x8003;
  EXPECT_EQ(ring_config(ring, packed, memory).base, 0x8003'8003U);
  // User Mode Linux says 0 of one that was never used.
  ring.base = 0;
  EXPECT_EQ(ring_config(ring, packed, memory).base, virtio::kPackedStart);
  bytes[15] = 0x80;  // Used in the turn before.
  EXPECT_EQ(ring_config(ring, packed, memory).base, 0U);
}

}  // namespace
}  // namespace sluice::link
