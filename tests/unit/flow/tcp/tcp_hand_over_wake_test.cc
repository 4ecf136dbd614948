// What makes a flow that is to be handed over look again whether it stands still.
#include <gtest/gtest.h>

#include "unit/flow/tcp/hand_over_fixture.h"

namespace sluice::flow::test {
namespace {

class HandOverWake : public HandOverFixture {};

TEST_F(HandOverWake, APeekThatFindsNothing) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kLong);
  send_much(c, kEnough - 100);
  tcp().on_readable(c.id, false, {now, sink});
  collect();
  const auto peek = take<PeekTcp>();
  feed(data(c, c.sent, 100));
  c.next += 100;
  host_takes(c, 100);
  EXPECT_EQ(flow(c)->hand_over, HandOverStage::kWanted);
  clear();
  tcp().on_peeked(c.id, {peek.sequence, PeekStatus::kWouldBlock, {}, false}, {now, sink});
  collect();
  EXPECT_EQ(all<HandOverTcp>().size(), 1U);
}

TEST_F(HandOverWake, ASpillThatTheHostTook) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(data(c, 0, 100));
  c.next += 100;
  tcp().on_written(c.id, {100, 60, 0}, {now, sink});
  collect();
  EXPECT_TRUE(all<HandOverTcp>().empty());
  clear();
  tcp().on_room(c.id, 0, 64 * 1024, {now, sink});
  collect();
  EXPECT_EQ(all<HandOverTcp>().size(), 1U);
}

}  // namespace
}  // namespace sluice::flow::test
