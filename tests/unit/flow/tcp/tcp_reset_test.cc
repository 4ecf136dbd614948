// What stands before a RST, on either side, is delivered before it.
#include <gtest/gtest.h>

#include "unit/flow/tcp/hand_over_fixture.h"

namespace sluice::flow::test {
namespace {

using namespace std::chrono_literals;

class TcpReset : public HandOverFixture {
 protected:
  void host_fails(const Connection& c, HostError error = HostError::kReset) {
    actions.clear();
    tcp().on_host_error(c.id, error, {now, sink});
    collect();
  }
  void answer_peek_with(PeekStatus status, const Connection& c) {
    tcp().on_peeked(c.id, {take<PeekTcp>().sequence, status, {}, false}, {now, sink});
    collect();
  }
  [[nodiscard]] bool guest_was_reset() const {
    return !frames.empty() && frames.back().tcp().flags().rst();
  }
};

TEST_F(TcpReset, WhatTheHostSentComesFirst) {
  Connection c = establish();
  clear();
  host_fails(c);
  EXPECT_TRUE(frames.empty());
  answer_peek(c, stream(0, 300), false);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames.back().tcp().payload().size(), 300u);
  EXPECT_FALSE(frames.back().tcp().flags().fin());
  clear();
  feed(ack(c));
  answer_peek_with(PeekStatus::kEndOfStream, c);
  EXPECT_TRUE(guest_was_reset());
  EXPECT_EQ(frames.back().tcp().sequence(), c.host_next);
  EXPECT_EQ(take<ReportFlow>().summary.outcome, policy::Outcome::kResetByHost);
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(TcpReset, WaitsForTheGuestsAcknowledgement) {
  Connection c = establish();
  host_sends(c, stream(0, 5'000));
  host_fails(c);
  if (!all<PeekTcp>().empty()) answer_peek_with(PeekStatus::kEndOfStream, c);
  EXPECT_FALSE(guest_was_reset());
  feed(ack(c));
  if (!all<PeekTcp>().empty()) answer_peek_with(PeekStatus::kEndOfStream, c);
  EXPECT_TRUE(guest_was_reset());
}

// An event of a reset socket says "hung up", too; a FIN would be a clean end.
TEST_F(TcpReset, IsNoEndOfTheStream) {
  Connection c = establish();
  host_fails(c);
  tcp().on_readable(c.id, true, {now, sink});
  answer_peek(c, stream(0, 100), false);
  EXPECT_FALSE(frames.back().tcp().flags().fin());
}

TEST_F(TcpReset, BehindAFinTheFinComesFirst) {
  Connection c = establish();
  host_fails(c, HostError::kResetAfterEnd);
  answer_peek_with(PeekStatus::kEndOfStream, c);
  EXPECT_TRUE(frames.back().tcp().flags().fin());
  EXPECT_FALSE(guest_was_reset());
  c.host_next += 1;
  feed(ack(c));
  EXPECT_TRUE(guest_was_reset());
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(TcpReset, BeforeTheGuestAnsweredItWaits) {
  feed(syn({}));
  const TcpId id = take<ConnectTcp>().flow;
  tcp().on_connected(id, 64 * 1024, {now, sink});
  tcp().on_host_error(id, HostError::kReset, {now, sink});
  collect();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_TRUE(frames.back().tcp().flags().syn());
  Connection c{.id = id,
               .guest = kGuest,
               .remote = kServer,
               .next = wire::SeqNum{1000},
               .host_next = frames.back().tcp().sequence() + 1};
  feed(ack(c));
  answer_peek(c, stream(0, 300), false);
  EXPECT_EQ(frames.back().tcp().payload().size(), 300u);
  feed(ack(c));
  answer_peek_with(PeekStatus::kEndOfStream, c);
  EXPECT_TRUE(guest_was_reset());
}

TEST_F(TcpReset, AGuestThatTakesNothingIsNotWaitedForForever) {
  Connection c = establish();
  host_sends(c, stream(0, 1'000));
  host_fails(c);
  for (int i = 0; i < 40 && engine().flow_count() > 0; ++i) {
    GuestSegment closed = ack(c);  // It lives, and takes nothing.
    closed.acknowledgment = c.host_next - 1'000;
    closed.window = 0;
    feed(closed);
    pass(2s);
  }
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_TRUE(guest_was_reset());
}

TEST_F(TcpReset, WhatTheGuestSentComesFirst) {
  Connection c = establish();
  frame(tcp_frame(network(), data(c, 0, 300)));
  c.next += 300;
  frame(tcp_frame(network(), rst(c)));
  engine().end_burst(BurstEnd::kDrained, {now, sink});
  ASSERT_GE(sink.actions().size(), 3u);
  EXPECT_EQ(std::get<WriteTcp>(sink.actions()[0]).until, 300u);
  EXPECT_TRUE(std::get<CloseTcp>(sink.actions()[1]).reset);
  EXPECT_EQ(std::get<ReportFlow>(sink.actions()[2]).summary.bytes_to_host, 300u);
  collect();
}

TEST_F(TcpReset, WhileAHandOverIsAskedForItWaitsForTheAnswer) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(ack(c));
  ASSERT_TRUE(is_asked_for(c));
  clear();
  host_fails(c);
  EXPECT_TRUE(frames.empty());
  EXPECT_TRUE(actions.empty());
  tcp().on_hand_over_failed(c.id, {now, sink});
  collect();
  answer_peek(c, stream(0, 300), false);
  EXPECT_EQ(frames.back().tcp().payload().size(), 300u);
}

}  // namespace
}  // namespace sluice::flow::test
