#include "base/burst_guess.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

BurstGuess settled() {
  BurstGuess guess;
  for (unsigned i = 0; i < BurstGuess::kLoneBursts; ++i) {
    EXPECT_FALSE(guess.expects_one());
    guess.found(1);
  }
  return guess;
}

TEST(BurstGuess, ExpectsOneAfterAFewOfOne) {
  BurstGuess guess = settled();
  EXPECT_TRUE(guess.expects_one());
}

TEST(BurstGuess, LooksAgainNowAndThen) {
  BurstGuess guess = settled();
  for (int round = 0; round < 3; ++round) {
    for (unsigned i = 1; i < BurstGuess::kLookEach; ++i) EXPECT_TRUE(guess.expects_one());
    EXPECT_FALSE(guess.expects_one());
    guess.found(1);
  }
}

TEST(BurstGuess, ABurstPutsAnEndToIt) {
  BurstGuess guess = settled();
  while (guess.expects_one()) {
  }
  guess.found(2);
  for (unsigned i = 0; i < BurstGuess::kLoneBursts; ++i) {
    EXPECT_FALSE(guess.expects_one());
    guess.found(0);  // Nothing is not more than one.
  }
  EXPECT_TRUE(guess.expects_one());
}

}  // namespace
}  // namespace sluice
