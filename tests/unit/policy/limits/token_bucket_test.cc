#include "policy/limits/token_bucket.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/prng.h"

namespace sluice::policy {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kRates[] = {
    1,         7,          999,         1'000,       65'536,         999'999,
    1'000'001, 12'345'678, 125'000'000, 999'999'937, 10'000'000'000, 100'000'000'000};

std::uint64_t burst_of(std::uint64_t rate) { return std::max<std::uint64_t>(4096, rate / 20); }

TEST(TokenBucket, BeginsFullWithFiftyMillisecondsAndAtLeastFourKibibytes) {
  for (const std::uint64_t rate : kRates) {
    for (const Instant now : {Instant{}, Instant{1s}, Instant{std::chrono::hours{24 * 300}}}) {
      const TokenBucket bucket(rate);
      EXPECT_EQ(bucket.available(now), burst_of(rate)) << rate;
      EXPECT_TRUE(bucket.full(now)) << rate;
      EXPECT_EQ(bucket.ready_at(now), now) << rate;
    }
  }
}

TEST(TokenBucket, WhatIsTakenComesBackAtTheRate) {
  TokenBucket bucket(1'000'000);  // A burst of 50,000 bytes.
  const Instant start{7s};
  bucket.take(50'000, start);
  EXPECT_EQ(bucket.available(start), 0u);
  EXPECT_FALSE(bucket.full(start));
  EXPECT_EQ(bucket.available(start + 1ms), 1'000u);
  EXPECT_EQ(bucket.available(start + 49ms), 49'000u);
  EXPECT_TRUE(bucket.full(start + 50ms));
  EXPECT_EQ(bucket.available(start + 50ms), 50'000u);
  EXPECT_EQ(bucket.available(start + 1h), 50'000u);  // Never more than the burst.
}

TEST(TokenBucket, DebtIsPaidBeforeAnyoneGetsMore) {
  TokenBucket bucket(1'000'000);
  const Instant start{7s};
  bucket.take(1'050'000, start);  // A second's worth beyond the burst.
  EXPECT_EQ(bucket.available(start), 0u);
  EXPECT_EQ(bucket.available(start + 1s), 0u);
  EXPECT_EQ(bucket.available(start + 1001ms), 1'000u);
  // A quarter of the burst after the debt.
  EXPECT_EQ(bucket.ready_at(start), start + 1s + 12500us + 1us);
}

TEST(TokenBucket, ReadyIsWhenAQuarterOfTheBurstIsThereAndNotMuchLater) {
  Prng prng(41);
  for (const std::uint64_t rate : kRates) {
    TokenBucket bucket(rate);
    Instant now{Duration(static_cast<std::int64_t>(prng.below(1'000'000'000'000'000)))};
    for (int i = 0; i < 200; ++i) {
      bucket.take(prng.below(2 * burst_of(rate)), now);
      const Instant ready = bucket.ready_at(now);
      ASSERT_GE(ready, now);
      EXPECT_GE(bucket.available(ready), burst_of(rate) / 4) << rate;
      // A few bytes, or two nanoseconds, earlier it was not.
      const Duration slack{static_cast<std::int64_t>(4'000'000'000 / rate + 2)};
      if (ready - slack > now) {
        EXPECT_LT(bucket.available(ready - slack), burst_of(rate) / 4) << rate;
      }
      now = ready;
    }
  }
}

// Takers that take what is there, in pieces of any size and at any time.
TEST(TokenBucket, LongRunRateIsExact) {
  Prng prng(42);
  for (const std::uint64_t rate : kRates) {
    for (const std::uint64_t piece_max : {std::uint64_t{1}, std::uint64_t{1500}, burst_of(rate)}) {
      TokenBucket bucket(rate);
      const Instant start{Duration(static_cast<std::int64_t>(prng.below(1'000'000'000'000)))};
      Instant now = start;
      std::uint64_t passed = 0;
      for (int i = 0; i < 20'000; ++i) {
        std::uint64_t there = bucket.available(now);
        if (there == 0) {
          now = std::max(bucket.ready_at(now), now + 1ns);
          continue;
        }
        const std::uint64_t piece = std::min(there, 1 + prng.below(piece_max));
        bucket.take(piece, now);
        passed += piece;
        // A bucket that overflows would lose time by right.
        if (there < burst_of(rate) / 2) {
          now += Duration(static_cast<std::int64_t>(
              prng.below(static_cast<std::uint64_t>(10'000'000'000 / rate) + 1)));
        }
      }
      // All that was given until now was either taken or is still there.
      const double seconds = std::chrono::duration<double>(now - start).count();
      const double given =
          static_cast<double>(rate) * seconds + static_cast<double>(burst_of(rate));
      const double accounted = static_cast<double>(passed + bucket.available(now));
      EXPECT_LE(accounted, given + 4) << rate << " in pieces of " << piece_max;
      EXPECT_GE(accounted, given - 4) << rate << " in pieces of " << piece_max;
    }
  }
}

TEST(TokenBucket, OneByteAtATimeAtAHundredGigabytesASecondIsCounted) {
  TokenBucket bucket(100'000'000'000);
  const Instant now{5s};
  const std::uint64_t before = bucket.available(now);
  for (int i = 0; i < 1000; ++i) bucket.take(1, now);
  EXPECT_EQ(bucket.available(now), before - 1000);
}

TEST(TokenBucket, NothingOverflows) {
  for (const std::uint64_t rate : kRates) {
    TokenBucket bucket(rate);
    Instant now{std::chrono::hours{24 * 365 * 5}};
    for (int i = 0; i < 100; ++i) bucket.take(std::size_t{1} << 31, now);
    EXPECT_EQ(bucket.available(now), 0u) << rate;
    const Instant ready = bucket.ready_at(now);
    EXPECT_GT(ready, now) << rate;
    EXPECT_EQ(bucket.available(now + (ready - now) / 2), 0u) << rate;
    now += std::chrono::hours{24 * 365 * 2};
    if (ready < now) {
      EXPECT_TRUE(bucket.full(now)) << rate;
    }
  }
  TokenBucket slow(1);
  for (int i = 0; i < 100; ++i) slow.take(SIZE_MAX, Instant{1s});
  EXPECT_EQ(slow.available(Instant{1s}), 0u);
  EXPECT_EQ(slow.ready_at(Instant{1s}), kNever);
  const TokenBucket endless(UINT64_MAX);
  EXPECT_EQ(endless.available(Instant{1s}), TokenBucket::kRateMax / 20);
}

TEST(TokenBucket, ThreadsWithClocksApartGetTheRateTogether) {
  constexpr std::uint64_t kRate = 50'000'000;
  TokenBucket bucket(kRate);
  const Instant start{3s};
  std::atomic<std::int64_t> clock_ns{0};
  std::atomic<std::uint64_t> passed{0};
  std::vector<std::jthread> takers;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    takers.emplace_back([&, seed] {
      Prng prng(seed);
      while (true) {
        const std::int64_t at = clock_ns.fetch_add(1'000, std::memory_order_relaxed);
        if (at > 1'000'000'000) return;
        const Instant now = start + Duration(at);
        // Two may see the same bytes: that makes a debt, which is paid.
        const std::uint64_t piece =
            std::min<std::uint64_t>(bucket.available(now), prng.below(4'000));
        if (piece == 0) continue;
        bucket.take(piece, now);
        passed.fetch_add(piece, std::memory_order_relaxed);
      }
    });
  }
  takers.clear();
  const double given = static_cast<double>(kRate + burst_of(kRate));
  EXPECT_LE(static_cast<double>(passed), given * 1.01);
  EXPECT_GE(static_cast<double>(passed), static_cast<double>(kRate) * 0.99);
}

}  // namespace
}  // namespace sluice::policy
