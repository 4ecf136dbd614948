#include "flow/tcp/rtt.h"

#include <gtest/gtest.h>

namespace sluice::flow {
namespace {

using namespace std::chrono_literals;

TEST(RttEstimator, FirstTimeoutIsOneSecond) { EXPECT_EQ(RttEstimator().timeout(), 1s); }

// RFC 6298, 2.2 and 2.3.
TEST(RttEstimator, FollowsTheSamples) {
  RttEstimator rtt;
  rtt.sample(400ms);
  EXPECT_EQ(rtt.timeout(), 400ms + 4 * 200ms);
  rtt.sample(400ms);
  EXPECT_EQ(rtt.timeout(), 400ms + 4 * 150ms);
}

TEST(RttEstimator, NeverBelowTheMinimum) {
  RttEstimator rtt;
  rtt.sample(0ns);
  EXPECT_EQ(rtt.timeout(), RttEstimator::kMin);
  for (int i = 0; i < 20; ++i) rtt.sample(50us);
  EXPECT_EQ(rtt.timeout(), RttEstimator::kMin);
}

TEST(RttEstimator, BackOffDoublesUpToAMinute) {
  RttEstimator rtt;
  rtt.sample(50us);
  rtt.back_off();
  EXPECT_EQ(rtt.timeout(), 400ms);
  rtt.back_off();
  EXPECT_EQ(rtt.timeout(), 800ms);
  for (int i = 0; i < 300; ++i) rtt.back_off();
  EXPECT_EQ(rtt.timeout(), RttEstimator::kMax);
  rtt.progress();
  EXPECT_EQ(rtt.timeout(), RttEstimator::kMin);
}

TEST(RttEstimator, AbsurdSamplesDoNotOverflow) {
  RttEstimator rtt;
  for (int i = 0; i < 50; ++i) rtt.sample(Duration::max());
  EXPECT_EQ(rtt.timeout(), RttEstimator::kMax);
}

}  // namespace
}  // namespace sluice::flow
