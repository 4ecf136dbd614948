#include "driver/io/settled.h"

#include <gtest/gtest.h>

namespace sluice::driver {
namespace {

constexpr Instant kNow{std::chrono::seconds(1)};

TEST(Settled, AnEmptySinkIsSettled) {
  flow::ActionSink sink;
  const Settled settled(kNow, sink);
  const FramesWritten written(kNow, sink);
  EXPECT_EQ(settled.now, kNow);
  EXPECT_EQ(&written.out, &sink);
}

TEST(Settled, AnActionThatWaitsMayBorrow) {
  flow::ActionSink sink;
  sink.push(flow::ShutdownTcp{});
  EXPECT_DEATH(Settled(kNow, sink), "used again");
  const FramesWritten written(kNow, sink);  // Its bytes are not the peek buffer's.
  sink.clear_actions();
  const Settled settled(kNow, sink);
}

TEST(Settled, AFrameThatWaitsMayBorrow) {
  flow::ActionSink sink;
  (void)sink.add_frame(14, {}, {});
  EXPECT_DEATH(Settled(kNow, sink), "used again");
  EXPECT_DEATH(FramesWritten(kNow, sink), "used again");
}

}  // namespace
}  // namespace sluice::driver
