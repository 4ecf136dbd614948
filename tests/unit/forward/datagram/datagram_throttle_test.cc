#include "forward/datagram/datagram_throttle.h"

#include <gtest/gtest.h>

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;

TEST(DatagramThrottle, WholeDatagramsPass) {
  const Instant now{100s};
  EXPECT_EQ(pass_throttle({}, 5000, 1000, now).bytes, 5000U);
  policy::TokenBucket bucket(100'000);  // A burst of 5,000.
  const relay::Throttle throttle{.rule = &bucket, .client = nullptr};
  EXPECT_EQ(bucket.available(now), 5000U);
  const Passed first = pass_throttle(throttle, 8000, 2000, now);
  EXPECT_EQ(first.bytes, 6000U);  // The third leaves a debt.
  EXPECT_EQ(first.dropped, 1U);
  const Passed second = pass_throttle(throttle, 0, 0, now);
  EXPECT_EQ(second.dropped, 1U);
  EXPECT_EQ(pass_throttle(throttle, 100, 0, now + 1s).dropped, 0U);
}

}  // namespace
}  // namespace sluice::forward
