#include "policy/limits/guest_limits.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

using namespace std::chrono_literals;

TEST(GuestLimits, InboundFlowsLeaveHalfToTheGuest) {
  GuestLimits limits({.max_flows = 10}, 0);
  for (const FlowSide side : {FlowSide::kInboundDatagram, FlowSide::kInboundStream}) {
    ASSERT_EQ(limits.admit(side, Instant{1s}), Verdict::kAccepted);
  }
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(limits.admit(FlowSide::kInboundDatagram, Instant{1s}), Verdict::kAccepted);
  }
  EXPECT_FALSE(limits.has_room(FlowSide::kInboundStream));
  EXPECT_EQ(limits.admit(FlowSide::kInboundDatagram, Instant{1s}), Verdict::kTooManyFlows);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(limits.admit(FlowSide::kOutbound, Instant{1s}), Verdict::kAccepted);
  }
  EXPECT_EQ(limits.admit(FlowSide::kOutbound, Instant{1s}), Verdict::kTooManyFlows);
  limits.released(FlowSide::kInboundDatagram);
  EXPECT_EQ(limits.inbound(), 4u);
  EXPECT_EQ(limits.admit(FlowSide::kOutbound, Instant{1s}), Verdict::kAccepted);
  // The whole bound counts for inbound flows too.
  EXPECT_EQ(limits.admit(FlowSide::kInboundDatagram, Instant{1s}), Verdict::kTooManyFlows);
}

TEST(GuestLimits, InboundFlowsGetOneAtLeast) {
  GuestLimits limits({.max_flows = 1, .new_flows_per_second = 1}, 0);
  EXPECT_EQ(limits.admit(FlowSide::kInboundStream, Instant{1s}), Verdict::kAccepted);
}

TEST(GuestLimits, NewInboundFlowsLeaveHalfOfTheRateToTheGuest) {
  GuestLimits limits({.max_flows = 0, .new_flows_per_second = 4}, 0);
  int inbound = 0;
  for (int i = 0; i < 10; ++i) {
    if (limits.admit(FlowSide::kInboundDatagram, Instant{1s}) == Verdict::kAccepted) ++inbound;
  }
  EXPECT_EQ(inbound, 2);
  EXPECT_EQ(limits.admit(FlowSide::kOutbound, Instant{1s}), Verdict::kAccepted);
  EXPECT_EQ(limits.admit(FlowSide::kOutbound, Instant{1s}), Verdict::kAccepted);
  EXPECT_EQ(limits.admit(FlowSide::kOutbound, Instant{1s}), Verdict::kTooManyNewFlows);
}

TEST(GuestLimits, InboundStreamsLeaveDescriptors) {
  GuestLimits limits({.max_flows = 0}, 2);
  EXPECT_EQ(limits.admit(FlowSide::kInboundStream, Instant{1s}), Verdict::kAccepted);
  EXPECT_EQ(limits.admit(FlowSide::kInboundStream, Instant{1s}), Verdict::kAccepted);
  EXPECT_EQ(limits.admit(FlowSide::kInboundStream, Instant{1s}), Verdict::kTooManyFlows);
  EXPECT_EQ(limits.admit(FlowSide::kInboundDatagram, Instant{1s}), Verdict::kAccepted);
  EXPECT_EQ(limits.admit(FlowSide::kOutbound, Instant{1s}), Verdict::kAccepted);
  limits.released(FlowSide::kInboundStream);
  EXPECT_TRUE(limits.has_room(FlowSide::kInboundStream));
}

}  // namespace
}  // namespace sluice::policy
