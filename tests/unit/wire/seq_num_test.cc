#include "wire/seq_num.h"

#include <gtest/gtest.h>

namespace sluice::wire {
namespace {

TEST(SeqNum, OrderHoldsAcrossTheWrap) {
  const SeqNum before{0xffff'fff0};
  const SeqNum after = before + 0x20;
  EXPECT_EQ(after, SeqNum{0x10});
  EXPECT_LT(before, after);
  EXPECT_GT(after, before);
  EXPECT_LE(before, before);
  EXPECT_GE(before, before);
  EXPECT_EQ(after - before, 0x20);
  EXPECT_EQ(before - after, -0x20);
  EXPECT_EQ(distance(before, after), 0x20U);
  EXPECT_EQ(after - 0x20U, before);
}

TEST(SeqNum, FarthestDistances) {
  const SeqNum zero{0};
  EXPECT_LT(zero, SeqNum{0x7fff'ffff});
  EXPECT_GT(zero, SeqNum{0x8000'0001});
  // Exactly half the circle away lies before and after, and every operator agrees on it.
  const SeqNum opposite{0x8000'0000};
  EXPECT_LT(zero, opposite);
  EXPECT_LE(zero, opposite);
  EXPECT_GT(zero, opposite);
  EXPECT_GE(zero, opposite);
}

}  // namespace
}  // namespace sluice::wire
