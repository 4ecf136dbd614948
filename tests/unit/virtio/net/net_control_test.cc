#include "virtio/net/net_control.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::virtio {
namespace {

using Bytes = std::vector<std::uint8_t>;

class NetControlTest : public testing::Test {
 protected:
  ControlAnswer run(const Bytes& command) { return on_control_command(command, limits_, state_); }
  void expect_refused(const Bytes& command) {
    const NetControlState before = state_;
    EXPECT_EQ(run(command), ControlAnswer::kError);
    EXPECT_EQ(state_, before);
  }

  NetControlLimits limits_{.accepted = {Feature::kCtrlVq, Feature::kCtrlRx, Feature::kCtrlMacAddr,
                                        Feature::kGuestAnnounce, Feature::kMq},
                           .queue_pairs_max = 4};
  NetControlState state_;
};

TEST_F(NetControlTest, ReceiveModes) {
  EXPECT_EQ(run({0, 0, 1}), ControlAnswer::kOk);
  EXPECT_TRUE(state_.promiscuous);
  EXPECT_EQ(run({0, 5, 1}), ControlAnswer::kOk);
  EXPECT_TRUE(state_.no_broadcast);
  EXPECT_EQ(run({0, 0, 0}), ControlAnswer::kOk);
  EXPECT_FALSE(state_.promiscuous);
  expect_refused({0, 0, 2});
  expect_refused({0, 6, 1});
  expect_refused({0, 0});
  expect_refused({0, 0, 1, 1});
}

TEST_F(NetControlTest, TheMacIsOneOfAStation) {
  EXPECT_EQ(run({1, 1, 2, 0, 0, 0, 0, 9}), ControlAnswer::kOk);
  EXPECT_EQ(state_.mac, (wire::MacAddress{{2, 0, 0, 0, 0, 9}}));
  expect_refused({1, 1, 3, 0, 0, 0, 0, 9});
  expect_refused({1, 1, 0, 0, 0, 0, 0, 0});
  expect_refused({1, 1, 2, 0, 0, 0, 0});
  expect_refused({1, 2, 2, 0, 0, 0, 0, 9});
}

TEST_F(NetControlTest, MacTables) {
  const Bytes table = {1, 0, 1,  0,  0, 0, 2, 0, 0,  0,  0, 1, 2, 0,
                       0, 0, 51, 51, 0, 0, 0, 1, 51, 51, 0, 0, 0, 2};
  EXPECT_EQ(run(table), ControlAnswer::kOk);
  EXPECT_EQ(state_.unicast_filters, 1U);
  EXPECT_EQ(state_.multicast_filters, 2U);
  for (std::size_t size = 0; size < table.size(); ++size) {
    expect_refused({table.begin(), table.begin() + static_cast<std::ptrdiff_t>(size)});
  }
  expect_refused({1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0});
  expect_refused({1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

TEST_F(NetControlTest, QueuePairsWithinWhatThereIs) {
  EXPECT_EQ(run({4, 0, 4, 0}), ControlAnswer::kOk);
  EXPECT_EQ(state_.queue_pairs, 4);
  expect_refused({4, 0, 5, 0});
  expect_refused({4, 0, 0, 0});
  expect_refused({4, 0, 1, 1});
  expect_refused({4, 0, 1});
  expect_refused({4, 1, 1, 0});
}

TEST_F(NetControlTest, Announcements) {
  EXPECT_EQ(run({3, 0}), ControlAnswer::kOk);
  EXPECT_TRUE(state_.announced);
  expect_refused({3, 1});
}

TEST_F(NetControlTest, WhatWasNotNegotiatedIsRefused) {
  limits_.accepted = {Feature::kCtrlVq};
  expect_refused({0, 0, 1});
  expect_refused({1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  expect_refused({1, 1, 2, 0, 0, 0, 0, 9});
  expect_refused({3, 0});
  expect_refused({4, 0, 1, 0});
}

TEST_F(NetControlTest, WhatIsNoCommandIsRefused) {
  expect_refused({});
  expect_refused({0});
  expect_refused({2, 0, 1, 0});
  expect_refused({255, 255, 255});
}

}  // namespace
}  // namespace sluice::virtio
