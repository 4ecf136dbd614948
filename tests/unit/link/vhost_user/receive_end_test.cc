// Frames that wait for a guest's buffers; what a running queue does is in queue_link_test.cc.
#include "link/vhost_user/receive_end.h"

#include <gtest/gtest.h>

namespace sluice::link {
namespace {

TEST(HeldBytes, HaveABoundOverAllQueues) {
  HeldBytes held;
  EXPECT_TRUE(held.none());
  EXPECT_TRUE(held.take(HeldBytes::kMax - 10));
  EXPECT_FALSE(held.take(11));
  EXPECT_TRUE(held.take(10)) << "what was refused takes no room";
  held.give_back(HeldBytes::kMax);
  EXPECT_TRUE(held.none());
}

TEST(ReceiveEnd, WithoutARingFramesAreLost) {
  ReceiveEnd::Shared shared{.calls = RingCalls(sys::real_kernel()), .tell_fault = {}, .clock = {}};
  ReceiveEnd end(0, shared);
  wire::FrameBatch batch;
  (void)batch.add(60, {}, {});
  (void)batch.add(60, {}, {});
  EXPECT_EQ(end.write(batch, 0, 2), 2U);
  EXPECT_EQ(end.write(batch, 1, 2), 1U);
  EXPECT_FALSE(end.holds());
  EXPECT_TRUE(shared.held.none());
}

}  // namespace
}  // namespace sluice::link
