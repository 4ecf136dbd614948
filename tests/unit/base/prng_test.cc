#include "base/prng.h"

#include <gtest/gtest.h>

#include <array>

namespace sluice {
namespace {

TEST(Prng, SameSeedSameRun) {
  Prng a(42);
  Prng b(42);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(a.next(), b.next());
}

TEST(Prng, NearSeedsDiffer) {
  Prng a(1);
  Prng b(2);
  Prng zero(0);
  EXPECT_NE(a.next(), b.next());
  EXPECT_NE(zero.next(), zero.next());
}

TEST(Prng, BelowStaysBelowAndReachesAll) {
  Prng prng(7);
  std::array<int, 6> seen{};
  for (int i = 0; i < 60'000; ++i) {
    const std::uint64_t draw = prng.below(6);
    ASSERT_LT(draw, 6u);
    ++seen[draw];
  }
  // Six standard deviations of a fair die.
  for (const int count : seen) EXPECT_NEAR(count, 10'000, 550);
}

TEST(Prng, BelowIsEvenWhereModuloIsNot) {
  // For 3 * 2^62 a plain modulo would give the lowest third twice as often as the rest.
  constexpr std::uint64_t kBound = 3ULL << 62;
  Prng prng(9);
  int low = 0;
  for (int i = 0; i < 30'000; ++i) low += prng.below(kBound) < (1ULL << 62) ? 1 : 0;
  EXPECT_NEAR(low, 10'000, 500);
}

TEST(Prng, BelowOneAndZeroGiveZero) {
  Prng prng(3);
  EXPECT_EQ(prng.below(1), 0u);
  EXPECT_EQ(prng.below(0), 0u);
}

}  // namespace
}  // namespace sluice
