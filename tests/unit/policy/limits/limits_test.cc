#include "policy/limits/limits.h"

#include <gtest/gtest.h>

#include <deque>

namespace sluice::policy {
namespace {

using namespace std::chrono_literals;

TEST(FlowLimits, ZeroIsNoBound) {
  FlowLimits limits({.max_flows = 0, .new_flows_per_second = 0});
  for (int i = 0; i < 200'000; ++i) ASSERT_EQ(limits.admit(Instant{1s}), Verdict::kAccepted);
  EXPECT_EQ(limits.active(), 200'000u);
}

TEST(FlowLimits, BoundsConcurrentFlows) {
  FlowLimits limits({.max_flows = 2, .new_flows_per_second = 0});
  EXPECT_EQ(limits.admit(Instant{1s}), Verdict::kAccepted);
  EXPECT_EQ(limits.admit(Instant{1s}), Verdict::kAccepted);
  EXPECT_EQ(limits.admit(Instant{9s}), Verdict::kTooManyFlows);
  EXPECT_EQ(limits.active(), 2u);
  limits.released();
  EXPECT_EQ(limits.admit(Instant{9s}), Verdict::kAccepted);
  EXPECT_EQ(limits.admit(Instant{9s}), Verdict::kTooManyFlows);
}

TEST(FlowLimits, BoundsNewFlowsInASecond) {
  FlowLimits limits({.max_flows = 0, .new_flows_per_second = 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limits.admit(Instant{5s}), Verdict::kAccepted);
  EXPECT_EQ(limits.admit(Instant{5s}), Verdict::kTooManyNewFlows);
  EXPECT_EQ(limits.admit(Instant{5999ms}), Verdict::kTooManyNewFlows);
  EXPECT_EQ(limits.admit(Instant{6s}), Verdict::kTooManyNewFlows);
  // A sixty-fourth of a second later the first three weigh no more.
  EXPECT_EQ(limits.admit(Instant{6016ms}), Verdict::kAccepted);
}

TEST(FlowLimits, ReleasedFlowsStillCountAsNew) {
  FlowLimits limits({.max_flows = 1, .new_flows_per_second = 1});
  EXPECT_EQ(limits.admit(Instant{1s}), Verdict::kAccepted);
  limits.released();
  EXPECT_EQ(limits.admit(Instant{1s}), Verdict::kTooManyNewFlows);
  EXPECT_EQ(limits.active(), 0u);
}

TEST(FlowLimits, ConcurrencyIsAskedFirst) {
  FlowLimits limits({.max_flows = 1, .new_flows_per_second = 1});
  EXPECT_EQ(limits.admit(Instant{1s}), Verdict::kAccepted);
  EXPECT_EQ(limits.admit(Instant{1s}), Verdict::kTooManyFlows);
}

TEST(FlowLimits, ARefusalDoesNotCountAsANewFlow) {
  FlowLimits limits({.max_flows = 0, .new_flows_per_second = 1});
  EXPECT_EQ(limits.admit(Instant{1s}), Verdict::kAccepted);
  for (auto t = Instant{1s}; t < Instant{2s}; t += 50ms) {
    EXPECT_EQ(limits.admit(t), Verdict::kTooManyNewFlows);
  }
  EXPECT_EQ(limits.admit(Instant{2017ms}), Verdict::kAccepted);
}

TEST(FlowLimits, NoSecondSeesMoreThanTheLimit) {
  constexpr std::uint32_t kLimit = 50;
  FlowLimits limits({.max_flows = 0, .new_flows_per_second = kLimit});
  std::deque<Instant> admitted;
  std::uint64_t total = 0;
  // 7 ms is no multiple of the slice, so every alignment of window and slice occurs.
  for (Instant now{100s}; now < Instant{160s}; now += 7ms) {
    if (limits.admit(now) != Verdict::kAccepted) continue;
    ++total;
    admitted.push_back(now);
    while (admitted.front() <= now - 1s) admitted.pop_front();
    ASSERT_LE(admitted.size(), kLimit);
  }
  // Over a minute the extra slice costs a sixty-fourth of the rate.
  EXPECT_GE(total, 60u * kLimit * 63 / 65);
}

TEST(FlowLimits, AClockThatStepsBackIsTakenAsStandingStill) {
  FlowLimits limits({.max_flows = 0, .new_flows_per_second = 1});
  EXPECT_EQ(limits.admit(Instant{10s}), Verdict::kAccepted);
  EXPECT_EQ(limits.admit(Instant{1s}), Verdict::kTooManyNewFlows);
  EXPECT_EQ(limits.admit(Instant{1'000'000s}), Verdict::kAccepted);
}

}  // namespace
}  // namespace sluice::policy
