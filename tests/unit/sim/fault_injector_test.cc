#include "sim/fault_injector.h"

#include <gtest/gtest.h>

namespace sluice::sim {
namespace {

TEST(FaultInjector, WithoutRatesNothingHappens) {
  const FaultInjector faults(FaultRates{});
  Prng prng(1);
  for (int i = 0; i < 1000; ++i) {
    const FrameFate fate = faults.next(prng, 1500);
    EXPECT_FALSE(fate.lost || fate.delay || fate.repeat_after || fate.corruption);
  }
}

TEST(FaultInjector, KeepsItsRatesAndItsBounds) {
  const FaultInjector faults({.lost = 100, .repeated = 200, .reordered = 300, .corrupted = 400});
  Prng prng(2);
  constexpr int kFrames = 100'000;
  int lost = 0;
  int repeated = 0;
  int reordered = 0;
  int corrupted = 0;
  for (int i = 0; i < kFrames; ++i) {
    const FrameFate fate = faults.next(prng, 60, 14);
    lost += fate.lost ? 1 : 0;
    repeated += fate.repeat_after ? 1 : 0;
    reordered += fate.delay ? 1 : 0;
    if (fate.delay) {
      EXPECT_LE(*fate.delay, std::chrono::milliseconds(20));
    }
    if (fate.corruption) {
      ++corrupted;
      EXPECT_GE(fate.corruption->offset, 14U);
      EXPECT_LT(fate.corruption->offset, 60U);
      EXPECT_NE(fate.corruption->mask, 0);
    }
  }
  EXPECT_NEAR(lost, kFrames * 0.1, 1000);
  const int carried = kFrames - lost;
  EXPECT_NEAR(repeated, carried * 0.2, 1000);
  EXPECT_NEAR(reordered, carried * 0.3, 1000);
  EXPECT_NEAR(corrupted, carried * 0.4, 1000);
}

TEST(FaultInjector, TheSameSeedGivesTheSameFaults) {
  const FaultRates rates{.lost = 300, .repeated = 300, .reordered = 300, .corrupted = 300};
  const FaultInjector faults(rates);
  Prng a(7);
  Prng b(7);
  for (int i = 0; i < 1000; ++i) {
    const FrameFate x = faults.next(a, 100);
    const FrameFate y = faults.next(b, 100);
    EXPECT_EQ(x.lost, y.lost);
    EXPECT_EQ(x.delay, y.delay);
    EXPECT_EQ(x.repeat_after, y.repeat_after);
    EXPECT_EQ(x.corruption.has_value(), y.corruption.has_value());
  }
}

TEST(FaultInjector, NothingToCorruptInAShortFrame) {
  FaultInjector faults({.corrupted = 1000});
  Prng prng(3);
  EXPECT_FALSE(faults.next(prng, 14, 14).corruption);
  faults.stop();
  EXPECT_FALSE(faults.next(prng, 100, 14).corruption);
}

}  // namespace
}  // namespace sluice::sim
