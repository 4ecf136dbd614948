#include "virtio/net/features.h"

#include <gtest/gtest.h>

namespace sluice::virtio {
namespace {

TEST(Features, AreBitsOfTheirNumbers) {
  const FeatureSet some{Feature::kCsum, Feature::kVersion1, Feature::kHostUso};
  EXPECT_EQ(some.bits(), 0x0100'0001'0000'0001U);
  EXPECT_TRUE(some.has(Feature::kVersion1));
  EXPECT_FALSE(some.has(Feature::kGuestCsum));
  EXPECT_EQ(some.without({Feature::kCsum, Feature::kMac}),
            (FeatureSet{Feature::kVersion1, Feature::kHostUso}));
}

TEST(Features, HaveTheSpecificationsNames) {
  EXPECT_EQ(text_of(FeatureSet{}), "");
  EXPECT_EQ(text_of(FeatureSet{Feature::kMrgRxbuf, Feature::kCsum, Feature::kRingPacked}),
            "CSUM MRG_RXBUF RING_PACKED");
  EXPECT_EQ(text_of(FeatureSet(std::uint64_t{1} << 63 | 1 << 19)), "#19 #63");
}

TEST(Features, OfRings) {
  const RingFeatures ring = ring_features({Feature::kEventIdx, Feature::kRingPacked});
  EXPECT_TRUE(ring.packed);
  EXPECT_TRUE(ring.event_index);
  EXPECT_FALSE(ring.indirect);
  EXPECT_FALSE(ring.in_order);
}

}  // namespace
}  // namespace sluice::virtio
