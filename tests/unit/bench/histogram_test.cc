#include "clients/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/prng.h"

namespace sluice::bench {
namespace {

// The value of the same rank among the samples themselves.
std::uint64_t exact_quantile(std::vector<std::uint64_t> samples, double quantile) {
  std::sort(samples.begin(), samples.end());
  const double rank = std::ceil(quantile * static_cast<double>(samples.size()) - 0.001);
  return samples[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

TEST(Histogram, EmptyIsZero) {
  const Histogram none;
  EXPECT_EQ(none.count(), 0u);
  EXPECT_EQ(none.quantile(0), 0u);
  EXPECT_EQ(none.quantile(0.5), 0u);
  EXPECT_EQ(none.quantile(1), 0u);
  EXPECT_EQ(none.min(), 0u);
  EXPECT_EQ(none.max(), 0u);
  EXPECT_EQ(none.mean(), 0u);
}

TEST(Histogram, OneSampleIsEveryQuantile) {
  Histogram one;
  one.record(123'457);
  for (const double quantile : {0.0, 0.5, 0.99, 1.0}) EXPECT_EQ(one.quantile(quantile), 123'457u);
  EXPECT_EQ(one.mean(), 123'457u);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram small;
  for (std::uint64_t value = 0; value < 256; ++value) small.record(value);
  for (unsigned part = 1; part <= 256; ++part) {
    EXPECT_EQ(small.quantile(part / 256.0), part - 1);
  }
}

// "At least half of three" is two of them.
TEST(Histogram, QuantileCoversAtLeastItsShare) {
  Histogram three;
  for (const std::uint64_t value : {10u, 20u, 30u}) three.record(value);
  EXPECT_EQ(three.quantile(0.33), 10u);
  EXPECT_EQ(three.quantile(0.5), 20u);
  EXPECT_EQ(three.quantile(0.67), 30u);
}

// 0.99 and its like are no exact binary fractions; of 100 samples they still mean the 99th.
TEST(Histogram, RoundQuantilesOfRoundCountsAreExact) {
  Histogram hundred;
  for (std::uint64_t value = 1; value <= 100; ++value) hundred.record(value);
  for (unsigned percent = 1; percent <= 100; ++percent) {
    EXPECT_EQ(hundred.quantile(percent / 100.0), percent);
  }
}

TEST(Histogram, QuantilesAreWithinTheStatedBound) {
  Prng prng(5);
  for (unsigned bits = 8; bits <= 37; ++bits) {
    Histogram histogram;
    std::vector<std::uint64_t> samples;
    for (int i = 0; i < 2000; ++i) {
      samples.push_back(prng.below(std::uint64_t{1} << bits));
      histogram.record(samples.back());
    }
    for (const double quantile : {0.01, 0.25, 0.5, 0.9, 0.99, 0.999}) {
      const auto exact = static_cast<double>(exact_quantile(samples, quantile));
      const auto given = static_cast<double>(histogram.quantile(quantile));
      EXPECT_NEAR(given, exact, exact * 0.004 + 0.5) << bits << " bits, quantile " << quantile;
    }
  }
}

TEST(Histogram, ExtremesAreKeptAndTooLargeIsCountedAsLargest) {
  Histogram histogram;
  histogram.record(0);
  histogram.record(UINT64_MAX);
  histogram.record(Histogram::kLargest);
  EXPECT_EQ(histogram.count(), 3u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.max(), Histogram::kLargest);
  EXPECT_EQ(histogram.quantile(0), 0u);
  EXPECT_EQ(histogram.quantile(1), Histogram::kLargest);
  EXPECT_EQ(histogram.mean(), Histogram::kLargest * 2 / 3);
}

TEST(Histogram, MergeIsTheSameAsRecordingAll) {
  Prng prng(6);
  Histogram first;
  Histogram second;
  Histogram all;
  for (int i = 0; i < 5000; ++i) {
    const std::uint64_t value = prng.below(1'000'000);
    (i % 3 == 0 ? first : second).record(value);
    all.record(value);
  }
  first.merge(second);
  first.merge(Histogram{});
  EXPECT_EQ(first.count(), all.count());
  EXPECT_EQ(first.mean(), all.mean());
  EXPECT_EQ(first.min(), all.min());
  EXPECT_EQ(first.max(), all.max());
  for (const double quantile : {0.1, 0.5, 0.99}) {
    EXPECT_EQ(first.quantile(quantile), all.quantile(quantile));
  }
}

// Doubled 33 times, one bucket holds more than 32 bits can count.
TEST(Histogram, CountsDoNotOverflow) {
  Histogram low;
  low.record(100);
  for (int i = 0; i < 33; ++i) low.merge(Histogram(low));
  Histogram high;
  high.record(1000);
  low.merge(high);
  EXPECT_EQ(low.count(), (std::uint64_t{1} << 33) + 1);
  EXPECT_EQ(low.quantile(0.999), 100u);
  EXPECT_EQ(low.quantile(1), 1000u);
}

}  // namespace
}  // namespace sluice::bench
