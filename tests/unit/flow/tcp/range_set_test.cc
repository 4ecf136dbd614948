#include "flow/tcp/range_set.h"

#include <gtest/gtest.h>

#include <set>

#include "base/prng.h"

namespace sluice::flow {
namespace {

using wire::SackBlock;
using wire::SeqNum;

SackBlock block(std::uint32_t left, std::uint32_t right) { return {SeqNum{left}, SeqNum{right}}; }

TEST(RangeSet, JoinsWhatTouchesAndOverlaps) {
  RangeSet set;
  EXPECT_TRUE(set.insert(block(10, 20)));
  EXPECT_TRUE(set.insert(block(30, 40)));
  EXPECT_TRUE(set.insert(block(20, 25)));
  ASSERT_EQ(set.ranges().size(), 2u);
  EXPECT_EQ(set.ranges()[0], block(10, 25));
  EXPECT_TRUE(set.insert(block(5, 50)));
  ASSERT_EQ(set.ranges().size(), 1u);
  EXPECT_EQ(set.ranges()[0], block(5, 50));
  EXPECT_EQ(set.end_of_range_at(SeqNum{5}), SeqNum{50});
  EXPECT_EQ(set.end_of_range_at(SeqNum{50}), SeqNum{50});
}

TEST(RangeSet, WrapsAround) {
  RangeSet set;
  EXPECT_TRUE(set.insert(block(0xffff'fff0, 0x10)));
  EXPECT_TRUE(set.insert(block(0x20, 0x30)));
  EXPECT_EQ(set.end_of_range_at(SeqNum{0xffff'ffff}), SeqNum{0x10});
  set.trim(SeqNum{0x8});
  EXPECT_EQ(set.ranges()[0], block(0x8, 0x10));
  set.trim(SeqNum{0x28});
  ASSERT_EQ(set.ranges().size(), 1u);
  EXPECT_EQ(set.ranges()[0], block(0x28, 0x30));
}

TEST(RangeSet, IsBounded) {
  RangeSet set;
  for (std::uint32_t i = 0; i < RangeSet::kCapacity; ++i) {
    EXPECT_TRUE(set.insert(block(i * 10, i * 10 + 5)));
  }
  EXPECT_FALSE(set.insert(block(1000, 1005)));
  EXPECT_TRUE(set.insert(block(5, 10)));  // Joining takes no room.
  EXPECT_EQ(set.ranges().size(), RangeSet::kCapacity - 1);
}

// Against a set of single numbers, around the wrap.
TEST(RangeSet, HoldsWhatAnExactSetHolds) {
  Prng prng(7);
  for (int run = 0; run < 200; ++run) {
    RangeSet set;
    std::set<std::uint32_t> exact;
    const std::uint32_t origin = 0xffff'ff80;
    for (int step = 0; step < 60; ++step) {
      const auto left = static_cast<std::uint32_t>(prng.below(240));
      const auto size = static_cast<std::uint32_t>(1 + prng.below(12));
      if (prng.below(6) == 0) {
        const auto edge = static_cast<std::uint32_t>(prng.below(60));
        set.trim(SeqNum{origin + edge});
        exact.erase(exact.begin(), exact.lower_bound(edge));
      } else if (set.insert(block(origin + left, origin + left + size))) {
        for (std::uint32_t i = left; i < left + size; ++i) exact.insert(i);
      }
      std::set<std::uint32_t> held;
      SeqNum last{origin};
      bool first = true;
      for (const SackBlock& range : set.ranges()) {
        EXPECT_TRUE(first || last < range.left);  // Sorted, and never touching.
        first = false;
        last = range.right;
        for (SeqNum at = range.left; at < range.right; at += 1) held.insert(at.value - origin);
      }
      ASSERT_EQ(held, exact);
    }
  }
}

}  // namespace
}  // namespace sluice::flow
