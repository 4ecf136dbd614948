#include "driver/fast_path/held_resets.h"

#include <gtest/gtest.h>

namespace sluice::driver {
namespace {

using namespace std::chrono_literals;

HeldResets::Reset reset(std::uint32_t sequence) {
  return {.flow = {}, .sequence = wire::SeqNum{sequence}, .packet = {1, 2, 3}};
}

// How many leave when the socket has what stands before `received`.
std::size_t due(HeldResets& resets, Instant now, std::uint32_t received) {
  return resets
      .take_due(now, [&](flow::TcpId,
                         wire::SeqNum sequence) { return sequence <= wire::SeqNum{received}; })
      .size();
}

TEST(HeldResets, EachWaitsForItsOwn) {
  HeldResets resets;
  Instant now{1s};
  EXPECT_EQ(resets.next_wakeup(), kNever);
  ASSERT_TRUE(resets.add(reset(100), now));
  ASSERT_TRUE(resets.add(reset(200), now));
  EXPECT_EQ(due(resets, now, 200), 0U);  // It was looked at just now.
  now = resets.next_wakeup();
  EXPECT_EQ(due(resets, now, 99), 0U);
  now = resets.next_wakeup();
  EXPECT_EQ(due(resets, now, 100), 1U);
  now = resets.next_wakeup();
  EXPECT_EQ(due(resets, now, 200), 1U);
  EXPECT_EQ(resets.next_wakeup(), kNever);
}

TEST(HeldResets, NobodyWaitsLong) {
  HeldResets resets;
  const Instant begin{1s};
  ASSERT_TRUE(resets.add(reset(100), begin));
  int looks = 0;
  Instant now = begin;
  while (due(resets, now, 0) == 0) {
    now = resets.next_wakeup();
    ASSERT_LT(++looks, 20);
  }
  EXPECT_GE(now, begin + 250ms);
  EXPECT_LT(now, begin + 300ms);
}

TEST(HeldResets, HaveABound) {
  HeldResets resets;
  HeldResets::Reset one = reset(1);
  std::size_t held = 0;
  while (resets.add(HeldResets::Reset(one), Instant{1s})) ASSERT_LT(++held, 100'000U);
  EXPECT_EQ(held, 4096U);
  EXPECT_FALSE(resets.add(std::move(one), Instant{1s}));
  EXPECT_EQ(one.packet.size(), 3U);  // NOLINT(bugprone-use-after-move): it was not taken.
  EXPECT_EQ(due(resets, Instant{2s}, 0), held);
}

}  // namespace
}  // namespace sluice::driver
