#include "clients/pacing.h"

#include <gtest/gtest.h>

namespace sluice::bench {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kNever = 1000 * 1000 * kMs;

// 1,000 operations a second: one each millisecond, from time zero.
const Schedule kEachMs{0, 1000};

TEST(Schedule, SpreadsEvenlyAndDoesNotDrift) {
  const Schedule thirds(500, 3);
  EXPECT_EQ(thirds.due_ns(0), 500u);
  EXPECT_EQ(thirds.due_ns(1), 500u + 333'333'333u);
  EXPECT_EQ(thirds.due_ns(3), 500u + 1'000'000'000u);
  EXPECT_EQ(thirds.due_ns(3'000'000), 500u + 1'000'000 * 1'000'000'000ULL);
}

TEST(Schedule, LargeNumbersDoNotOverflow) {
  const Schedule fast(0, 1'000'000'000);
  EXPECT_EQ(fast.due_ns(1ULL << 50), 1ULL << 50);
}

TEST(PacedWork, NothingStartsBeforeItIsDue) {
  PacedWork work(kEachMs, 2, 2, kNever);
  EXPECT_EQ(work.take(0), 0u);
  EXPECT_EQ(work.take(kMs - 1), std::nullopt);
  EXPECT_EQ(work.wait_ns(kMs / 4), kMs - kMs / 4);
  EXPECT_EQ(work.take(kMs), 1u);
  EXPECT_FALSE(work.done());
  work.finish(0, 2 * kMs);
  work.finish(1, 2 * kMs);
  EXPECT_TRUE(work.done());
}

// The first answer takes 100 ms. Ten more operations fall due meanwhile, and each of them has
// waited: a client that measured from its actual starts would show one slow answer in eleven.
TEST(PacedWork, StallIsSeenByEveryOperationThatItDelays) {
  PacedWork work(Schedule(0, 100), 11, 1, kNever);
  ASSERT_EQ(work.take(0), 0u);
  EXPECT_EQ(work.take(50 * kMs), std::nullopt);
  std::uint64_t now = 100 * kMs;
  work.finish(0, now);
  for (std::uint64_t i = 0; i < 10; ++i) {
    now = std::max(now, (i + 1) * 10 * kMs);
    ASSERT_EQ(work.take(now), 0u);
    now += kMs;
    work.finish(0, now);
  }
  EXPECT_TRUE(work.done());
  EXPECT_EQ(work.service().quantile(1), 100 * kMs);
  EXPECT_NEAR(static_cast<double>(work.service().quantile(0.5)), 1e6, 4e3);
  // The second one was due at 10 ms and ended at 101 ms.
  EXPECT_EQ(work.latency().quantile(1), 100 * kMs);
  EXPECT_NEAR(static_cast<double>(work.latency().quantile(10.0 / 11)), 91e6, 91e6 * 0.004);
  EXPECT_NEAR(static_cast<double>(work.latency().quantile(0.5)), 46e6, 46e6 * 0.004 + 9e6);
  EXPECT_EQ(work.latest_start_ns(), 90 * kMs);
}

TEST(PacedWork, SlotsTakeTurns) {
  PacedWork work(kEachMs, 4, 3, kNever);
  EXPECT_EQ(work.take(9 * kMs), 0u);
  work.finish(0, 9 * kMs);
  EXPECT_EQ(work.take(9 * kMs), 1u);
  EXPECT_EQ(work.take(9 * kMs), 2u);
  EXPECT_EQ(work.take(9 * kMs), 0u);
}

TEST(PacedWork, TimesOutFromTheActualStart) {
  PacedWork work(kEachMs, 2, 2, 5 * kMs);
  ASSERT_EQ(work.take(3 * kMs), 0u);
  ASSERT_EQ(work.take(4 * kMs), 1u);
  EXPECT_EQ(work.expire(8 * kMs - 1), std::nullopt);
  EXPECT_EQ(work.wait_ns(4 * kMs), 4 * kMs);
  EXPECT_EQ(work.expire(8 * kMs), 0u);
  EXPECT_EQ(work.expire(8 * kMs), std::nullopt);
  work.finish(1, 8 * kMs);
  EXPECT_EQ(work.expire(100 * kMs), std::nullopt);
  EXPECT_TRUE(work.done());
  EXPECT_EQ(work.failures().timed_out, 1u);
  EXPECT_EQ(work.latency().count(), 1u);
}

// A slot that ended and was taken again is not given up for its first operation's age.
TEST(PacedWork, ReusedSlotHasItsOwnTimeout) {
  PacedWork work(kEachMs, 2, 1, 5 * kMs);
  ASSERT_EQ(work.take(0), 0u);
  work.finish(0, 4 * kMs);
  ASSERT_EQ(work.take(4 * kMs), 0u);
  EXPECT_EQ(work.expire(6 * kMs), std::nullopt);
  EXPECT_EQ(work.expire(9 * kMs), 0u);
}

TEST(PacedWork, FailuresAreCountedByKindAndNotMeasured) {
  PacedWork work(kEachMs, 5, 1, kNever);
  for (const int error : {ECONNREFUSED, ETIMEDOUT, ECONNRESET, EPIPE, EADDRNOTAVAIL}) {
    ASSERT_EQ(work.take(9 * kMs), 0u);
    work.fail(0, error);
  }
  EXPECT_TRUE(work.done());
  EXPECT_EQ(work.failures().refused, 1u);
  EXPECT_EQ(work.failures().timed_out, 1u);
  EXPECT_EQ(work.failures().reset, 2u);
  EXPECT_EQ(work.failures().other, 1u);
  EXPECT_EQ(work.failures().total(), 5u);
  EXPECT_EQ(work.latency().count(), 0u);
}

TEST(PacedWork, RateAchievedIsNeverAboveTheOneOffered) {
  PacedWork quick(Schedule(7, 1000), 1000, 1, kNever);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(quick.take(7 + i * kMs), 0u);
    quick.finish(0, 7 + i * kMs + 1);
  }
  EXPECT_EQ(quick.elapsed_ns(), 1000 * kMs);
  PacedWork slow(kEachMs, 1, 1, kNever);
  ASSERT_EQ(slow.take(0), 0u);
  slow.finish(0, 50 * kMs);
  EXPECT_EQ(slow.elapsed_ns(), 50 * kMs);
}

}  // namespace
}  // namespace sluice::bench
