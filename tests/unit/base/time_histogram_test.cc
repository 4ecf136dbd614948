#include "base/time_histogram.h"

#include <gtest/gtest.h>

#include <numeric>

namespace sluice {
namespace {

using namespace std::chrono_literals;

TEST(TimeHistogram, ABoundBelongsToWhatIsBelow) {
  TimeHistogram histogram;
  histogram.add(0s);
  histogram.add(1ms);
  histogram.add(1ms + 1ns);
  histogram.add(5s);
  histogram.add(6s);
  EXPECT_EQ(histogram.counts()[0], 2u);
  EXPECT_EQ(histogram.counts()[1], 1u);
  EXPECT_EQ(histogram.counts()[11], 1u);
  EXPECT_EQ(histogram.counts().back(), 1u);
  EXPECT_EQ(histogram.sum(), 11s + 2ms + 1ns);
}

TEST(TimeHistogram, TwoAddUp) {
  TimeHistogram one;
  TimeHistogram other;
  one.add(3ms);
  other.add(3ms);
  other.add(30s);
  one.add(other);
  EXPECT_EQ(one.counts()[2], 2u);
  EXPECT_EQ(std::accumulate(one.counts().begin(), one.counts().end(), std::uint64_t{0}), 3u);
  EXPECT_EQ(one.sum(), 30s + 6ms);
}

}  // namespace
}  // namespace sluice
