#include "driver/io/rechecks.h"

#include <gtest/gtest.h>

namespace sluice::driver {
namespace {

using namespace std::chrono_literals;

TEST(Rechecks, EachPauseIsTwiceTheLastUpToTheLongest) {
  Rechecks<int> waiting(1ms, 4ms);
  const Instant start{10s};
  waiting.add(1, start);
  Instant now = start;
  for (const Duration pause : {1ms, 2ms, 4ms, 4ms}) {
    EXPECT_EQ(waiting.next_wakeup(), now + pause);
    now += pause;
    waiting.look(now, [](int) { return false; });
  }
}

TEST(Rechecks, OnlyWhoseTimeHasComeIsAskedAndWhatIsDoneIsGone) {
  Rechecks<int> waiting(1ms, 8ms);
  const Instant start{10s};
  waiting.add(1, start);
  waiting.add(2, start + 500us);
  std::vector<int> asked;
  const auto done = [&](int thing) {
    asked.push_back(thing);
    return thing == 1;
  };
  waiting.look(start + 999us, done);
  EXPECT_TRUE(asked.empty());
  waiting.look(start + 1ms, done);
  EXPECT_EQ(asked, std::vector{1});
  EXPECT_EQ(waiting.size(), 1U);
  EXPECT_EQ(waiting.next_wakeup(), start + 1500us);
  waiting.look(start + 2ms, done);
  EXPECT_EQ(asked, (std::vector{1, 2}));
  waiting.look(start + 10ms, [](int) { return true; });
  EXPECT_TRUE(waiting.empty());
  EXPECT_EQ(waiting.next_wakeup(), kNever);
}

}  // namespace
}  // namespace sluice::driver
