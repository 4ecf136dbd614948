#include "flow/tcp/spill_budget.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::flow {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

TEST(SpillBudget, LateComersGetLessAndAlwaysSomething) {
  SpillBudget budget;
  budget.set_free(64 * kMiB);
  std::vector<std::uint32_t> promised(4000);
  std::size_t before = budget.share(0);
  EXPECT_EQ(before, 64 * kMiB * 7 / 8 / 512 - SpillBudget::kSlack / 512);
  std::size_t sum = 0;
  for (std::uint32_t& own : promised) {
    const std::size_t share = budget.share(own);
    EXPECT_LE(share, before);
    if (share == 0) break;
    before = share;
    budget.promise(own, static_cast<std::uint32_t>(share));
    sum += own;
    ASSERT_LE(sum, 64 * kMiB);
  }
}

TEST(SpillBudget, AShareIsBounded) {
  SpillBudget budget;
  budget.set_free(std::size_t{16} * 1024 * kMiB);
  EXPECT_EQ(budget.share(0), SpillBudget::kShareMax);
}

TEST(SpillBudget, APromiseThatIsTakenBackIsAnothersAgain) {
  SpillBudget budget;
  budget.set_free(kMiB);
  const std::size_t alone = budget.share(0);
  std::uint32_t own = 0;
  budget.promise(own, 500'000);
  EXPECT_EQ(own, 500'000 + SpillBudget::kSlack);
  EXPECT_LT(budget.share(0), alone);
  EXPECT_EQ(budget.share(own), alone);  // Its own promise is not in its way.
  budget.promise(own, 0);
  EXPECT_EQ(own, 0u);
  EXPECT_EQ(budget.share(0), alone);
}

TEST(SpillBudget, WhatIsReservedIsNotReservedTwice) {
  SpillBudget budget;
  budget.set_free(100'000);
  EXPECT_TRUE(budget.reserve(60'000));
  EXPECT_FALSE(budget.reserve(1));  // With the slack of each, 124,769 bytes.
  budget.release(60'000);
  EXPECT_TRUE(budget.reserve(1));
  budget.release(60'000);  // Never below nothing.
  EXPECT_FALSE(budget.reserve(100'000));
}

}  // namespace
}  // namespace sluice::flow
