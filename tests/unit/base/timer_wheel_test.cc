#include "base/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace sluice {
namespace {

using namespace std::chrono_literals;

TEST(TimerWheel, FiresAtItsDeadlineNotBefore) {
  const Instant start{5s};
  TimerWheel wheel(start);
  TimerNode node(7);
  wheel.arm(node, start + 40ms);
  EXPECT_EQ(wheel.pop_due(start + 39ms), nullptr);
  EXPECT_EQ(wheel.pop_due(start + 40ms), &node);
  EXPECT_FALSE(node.armed());
  EXPECT_EQ(wheel.pop_due(start + 10s), nullptr);
  EXPECT_EQ(wheel.next_wakeup(), kNever);
}

TEST(TimerWheel, CancelledTimerStaysSilent) {
  TimerWheel wheel(Instant{});
  TimerNode node;
  wheel.arm(node, Instant{10ms});
  wheel.cancel(node);
  EXPECT_EQ(wheel.pop_due(Instant{1h}), nullptr);
}

TEST(TimerWheel, AnUnarmedWheelJumpsAheadWithoutStepping) {
  TimerWheel wheel(Instant{});
  EXPECT_EQ(wheel.pop_due(Instant{24h * 3650}), nullptr);
  TimerNode node;
  wheel.arm(node, Instant{24h * 3650 + 5ms});
  EXPECT_EQ(wheel.pop_due(Instant{24h * 3650 + 5ms}), &node);
}

// Stepping from slot to slot, this would be 16 billion of them.
TEST(TimerWheel, ALongSleepIsFewSteps) {
  for (int round = 0; round < 1000; ++round) {
    TimerWheel wheel(Instant{});
    TimerNode node;
    wheel.arm(node, Instant{24h * 12});
    EXPECT_EQ(wheel.pop_due(Instant{24h * 12 - 1ms}), nullptr);
    EXPECT_EQ(wheel.pop_due(Instant{24h * 12}), &node);
  }
}

// Whoever asks late, by however much, gets what is due and nothing else, the earlier ticks first.
TEST(TimerWheel, AgreesWithASortedListWhenAskedLate) {
  std::mt19937_64 random(2);  // NOLINT(cert-msc51-cpp): a fixed seed replays.
  for (int round = 0; round < 300; ++round) {
    TimerWheel wheel(Instant{});
    std::vector<std::unique_ptr<TimerNode>> nodes;
    const std::uint64_t reach = std::uint64_t{1} << (random() % 30);  // Milliseconds.
    for (int i = 0; i < 50; ++i) {
      nodes.push_back(std::make_unique<TimerNode>());
      wheel.arm(*nodes.back(), Instant{std::chrono::milliseconds(random() % reach)});
    }
    Instant now{};
    while (wheel.next_wakeup() != kNever) {
      now += std::chrono::milliseconds(1 + random() % reach / 4);
      Instant last{};
      while (const TimerNode* node = wheel.pop_due(now)) {
        ASSERT_LE(node->deadline(), now);
        ASSERT_GE(node->deadline(), last);
        last = node->deadline();
      }
      for (const auto& node : nodes) {
        ASSERT_FALSE(node->armed() && node->deadline() <= now);
      }
    }
  }
}

// Against a sorted map: every timer fires once, never early, and at a wake-up that the wheel asked
// for when its owner sleeps until next_wakeup().
TEST(TimerWheel, AgreesWithASortedMap) {
  std::mt19937_64 random(1);  // NOLINT(cert-msc51-cpp): a fixed seed replays.
  for (int round = 0; round < 200; ++round) {
    Instant now{std::chrono::nanoseconds(random() % 1'000'000'000'000)};
    TimerWheel wheel(now);
    std::vector<std::unique_ptr<TimerNode>> nodes;
    std::multimap<Instant, TimerNode*> expected;
    const auto reach = std::int64_t{1} << (random() % 41);
    for (int i = 0; i < 50; ++i) {
      nodes.push_back(std::make_unique<TimerNode>());
      const Instant at = now + Duration(static_cast<std::int64_t>(random()) & (reach - 1));
      wheel.arm(*nodes.back(), at);
      expected.emplace(at, nodes.back().get());
    }
    int wakeups = 0;
    while (!expected.empty()) {
      ASSERT_LT(++wakeups, 50 * 6);
      const Instant wake = wheel.next_wakeup();
      ASSERT_NE(wake, kNever);
      ASSERT_LE(wake, expected.begin()->first + 1ms);
      now = std::max(now, wake);
      while (TimerNode* node = wheel.pop_due(now)) {
        ASSERT_LE(node->deadline(), now);
        const auto [first, last] = expected.equal_range(node->deadline());
        const auto it = std::find_if(first, last, [&](auto& e) { return e.second == node; });
        ASSERT_NE(it, last);
        expected.erase(it);
      }
      if (!expected.empty()) {
        ASSERT_GT(expected.begin()->first + 1ms, now);
      }
    }
    EXPECT_EQ(wheel.next_wakeup(), kNever);
  }
}

}  // namespace
}  // namespace sluice
