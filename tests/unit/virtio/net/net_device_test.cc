#include "virtio/net/net_device.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::virtio {
namespace {

constexpr NetDevice kDevice{.mac = {{0x52, 0x54, 0, 1, 2, 3}}, .mtu = 1500, .queue_pairs_max = 4};

TEST(NetDevice, OffersWhatItHas) {
  const FeatureSet all = offered_features(kDevice);
  EXPECT_TRUE(all.has(Feature::kMtu));
  EXPECT_TRUE(all.has(Feature::kMq));
  EXPECT_TRUE(all.has(Feature::kRingPacked));
  EXPECT_FALSE(all.has(Feature::kGuestUfo));
  const FeatureSet less = offered_features({.mac = {}, .packed = false, .ufo = true});
  EXPECT_FALSE(less.has(Feature::kMtu));
  EXPECT_FALSE(less.has(Feature::kMq));
  EXPECT_FALSE(less.has(Feature::kRingPacked));
  EXPECT_TRUE(less.has(Feature::kHostUfo));
}

TEST(NetDevice, WhatItOffersMayBeAccepted) {
  const FeatureSet all = offered_features(kDevice);
  EXPECT_TRUE(check_features(all, all));
  EXPECT_TRUE(check_features(all, {}));
  // QEMU and DPDK keep the control queue to themselves.
  EXPECT_TRUE(check_features(all, {Feature::kVersion1, Feature::kMq, Feature::kCtrlMacAddr}));
}

TEST(NetDevice, ADriverThatLiesIsTold) {
  const FeatureSet all = offered_features(kDevice);
  EXPECT_EQ(check_features(all, FeatureSet{Feature::kGuestUfo, Feature::kGuestCsum}).error(),
            "the driver accepted what was not offered: GUEST_UFO");
  EXPECT_EQ(check_features(all, {Feature::kHostTso4}).error(),
            "the driver accepted HOST_TSO4, and not what it needs: CSUM");
  EXPECT_EQ(check_features(all, {Feature::kGuestCsum, Feature::kGuestEcn}).error(),
            "the driver accepted GUEST_ECN, and not what it needs: GUEST_TSO4 GUEST_TSO6");
}

TEST(NetDevice, FramesToTheGuestLeaveToItWhatItAccepted) {
  const wire::LinkFeatures all = link_features(offered_features(kDevice));
  EXPECT_TRUE(all.checksum && all.tso && all.uso);
  const wire::LinkFeatures none = link_features({Feature::kVersion1});
  EXPECT_FALSE(none.checksum || none.tso || none.uso);
  const wire::LinkFeatures v4_only =
      link_features({Feature::kGuestCsum, Feature::kGuestTso4, Feature::kGuestUso6});
  EXPECT_TRUE(v4_only.checksum);
  EXPECT_FALSE(v4_only.tso || v4_only.uso);
}

TEST(NetDevice, TheHeaderIsLongWithVersionOneOrMergeableBuffers) {
  EXPECT_EQ(header_format({}).size, 10U);
  EXPECT_EQ(header_format({Feature::kVersion1}).size, 12U);
  EXPECT_FALSE(header_format({Feature::kVersion1}).mergeable);
  EXPECT_EQ(header_format({Feature::kMrgRxbuf}).size, 12U);
  EXPECT_TRUE(header_format({Feature::kMrgRxbuf}).mergeable);
}

TEST(NetDevice, ItsConfigurationSpace) {
  const auto config = net_config(kDevice, LinkState::kUp);
  const std::vector<std::uint8_t> expected = {0x52, 0x54, 0,    1,    2,    3, 1, 0, 4, 0, 0xdc, 5,
                                              0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0,    0};
  EXPECT_EQ(std::vector(config.begin(), config.end()), expected);
  EXPECT_EQ(net_config(kDevice, LinkState::kDown)[6], 0);
  EXPECT_EQ(net_config(kDevice, LinkState::kUpAnnounce)[6], 3);
}

TEST(NetDevice, ItsQueuesByNumber) {
  EXPECT_EQ(receive_queue_index(1), 2U);
  EXPECT_EQ(transmit_queue_index(1), 3U);
  EXPECT_EQ(control_queue_index(kDevice, {}), 2U);
  EXPECT_EQ(control_queue_index(kDevice, {Feature::kMq}), 8U);
}

}  // namespace
}  // namespace sluice::virtio
