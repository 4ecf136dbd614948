// Which connections are handed over to the guest's kernel, when, and in which state.
#include <gtest/gtest.h>

#include "unit/flow/tcp/hand_over_fixture.h"

namespace sluice::flow::test {
namespace {

class TcpHandOver : public HandOverFixture {};

// When.

TEST_F(TcpHandOver, NobodyIsAskedWhileThereIsNoAgent) {
  Connection c = establish();
  send_much(c, 4 * kEnough);
  EXPECT_TRUE(all<HandOverTcp>().empty());
}

TEST_F(TcpHandOver, AfterEnoughBytesOfTheGuest) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kLong);
  send_much(c, kEnough - 1);
  EXPECT_TRUE(all<HandOverTcp>().empty());
  send(c, 1);
  EXPECT_EQ(all<HandOverTcp>().size(), 1u);
  EXPECT_TRUE(is_asked_for(c));
}

TEST_F(TcpHandOver, AfterEnoughBytesOfTheHost) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kLong);
  for (int i = 0; i < 8; ++i) {
    host_sends(c, stream(0, 32 * 1024));
    EXPECT_TRUE(all<HandOverTcp>().empty());  // The last of it is not acknowledged yet.
    feed(ack(c));
  }
  const auto order = take<HandOverTcp>();
  EXPECT_EQ(order.snapshot.send_next, c.host_next);
}

TEST_F(TcpHandOver, ShortQuestionsAndAnswersStayOnTheTap) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kLong);
  for (int turn = 0; turn < 20; ++turn) {
    host_sends(c, stream(0, 10));
    feed(ack(c));
    send(c, 10);
  }
  EXPECT_EQ(flow(c)->turns, 20u);
  send_much(c, kEnough);  // Enough at all, but not for so many turns.
  EXPECT_TRUE(all<HandOverTcp>().empty());
  send_much(c, 20 * 32 * 1024);
  EXPECT_EQ(all<HandOverTcp>().size(), 1u);
}

TEST_F(TcpHandOver, SegmentsOfOneQuestionAreOneTurn) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kLong);
  host_sends(c, stream(0, 10));
  feed(ack(c));
  for (int i = 0; i < 100; ++i) send(c, 10);
  EXPECT_TRUE(all<HandOverTcp>().empty());
  EXPECT_EQ(flow(c)->turns, 1u);
}

TEST_F(TcpHandOver, AlwaysIsAtOnce) {
  tcp().set_hand_over(HandOverWhen::kAlways);
  clear();
  const Connection c = connect();
  EXPECT_TRUE(all<HandOverTcp>().empty());  // The guest has not answered yet.
  feed(ack(c));
  const auto order = take<HandOverTcp>();
  EXPECT_EQ(order.flow, c.id);
}

// A SYN-ACK may be a SYN cookie, behind which there is no connection yet.
TEST_F(TcpHandOver, AClientOfAPublishedPortToo) {
  tcp().set_hand_over(HandOverWhen::kAlways);
  const wire::Endpoint guest = endpoint("10.0.2.15:80");
  const auto id = tcp().on_inbound(kServer, guest, 64 * 1024, {now, sink});
  collect();
  Connection c{.id = *id,
               .guest = guest,
               .remote = kServer,
               .next = wire::SeqNum{7000},
               .host_next = take_frame().tcp().sequence() + 1};
  GuestSegment answer = ack(c);
  answer.flags = wire::kSyn | wire::kAck;
  answer.options = {.mss = 1460, .window_scale = 3, .sack_permitted = true};
  feed(answer);
  c.next += 1;
  EXPECT_TRUE(all<HandOverTcp>().empty());
  clear();

  host_sends(c, stream(0, 10));
  EXPECT_TRUE(all<HandOverTcp>().empty());
  feed(ack(c));
  const auto order = take<HandOverTcp>();
  EXPECT_EQ(order.flow, *id);
  EXPECT_EQ(order.snapshot.peer, guest);
  EXPECT_EQ(order.snapshot.receive_next, wire::SeqNum{7001});
  EXPECT_EQ(order.snapshot.send_next, c.host_next);
  EXPECT_EQ(order.snapshot.send_scale, 3u);
}

// Nothing new is asked once the agent is gone, whatever was on its way to it.
TEST_F(TcpHandOver, NobodyIsAskedAfterTheAgentHasGone) {
  Connection c = establish();
  host_sends(c, stream(0, 100));
  tcp().set_hand_over(HandOverWhen::kAlways);
  GuestSegment old = ack(c);
  old.acknowledgment = old.acknowledgment - 100;
  feed(old);
  EXPECT_EQ(flow(c)->hand_over, HandOverStage::kWanted);
  tcp().set_hand_over(HandOverWhen::kNever);
  clear();
  feed(ack(c));
  EXPECT_TRUE(all<HandOverTcp>().empty());
  EXPECT_EQ(flow(c)->hand_over, HandOverStage::kNone);
  host_sends(c, stream(100, 10));  // Goes on as if nothing had been.
}

// Standstill.

TEST_F(TcpHandOver, NotWhileBytesAreOnTheirWayToTheGuest) {
  Connection c = establish();
  host_sends(c, stream(0, 1000));
  tcp().set_hand_over(HandOverWhen::kAlways);
  GuestSegment half = ack(c);
  half.acknowledgment = half.acknowledgment - 500;
  clear();
  feed(half);
  EXPECT_TRUE(all<HandOverTcp>().empty());
  EXPECT_EQ(flow(c)->hand_over, HandOverStage::kWanted);
  feed(ack(c));
  // What the guest has is taken off the host's socket before that is given away.
  ASSERT_EQ(actions.size(), 3u);
  EXPECT_EQ(std::get<DiscardTcp>(actions[0]).bytes, 500u);
  EXPECT_EQ(std::get<DiscardTcp>(actions[1]).bytes, 500u);
  EXPECT_TRUE(std::holds_alternative<HandOverTcp>(actions[2]));
}

TEST_F(TcpHandOver, NotWhileAWriteIsNotAnswered) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(data(c, 0, 100));
  EXPECT_EQ(writes.size(), 1u);
  EXPECT_TRUE(all<HandOverTcp>().empty());
  clear();
  host_takes(c, 100);
  EXPECT_EQ(take<HandOverTcp>().snapshot.receive_next, c.next + 100);
}

TEST_F(TcpHandOver, NotWhileBytesWaitForTheHost) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(data(c, 0, 100));
  c.next += 100;
  tcp().on_written(c.id, {100, 60, 0}, {now, sink});
  collect();
  feed(ack(c));
  EXPECT_TRUE(all<HandOverTcp>().empty());
  tcp().on_room(c.id, 0, 64 * 1024, {now, sink});
  collect();
  feed(ack(c));
  EXPECT_EQ(all<HandOverTcp>().size(), 1u);
}

TEST_F(TcpHandOver, NotWhileAPeekIsNotAnswered) {
  Connection c = establish();
  tcp().on_readable(c.id, false, {now, sink});
  collect();
  const auto peek = take<PeekTcp>();
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(ack(c));
  EXPECT_TRUE(all<HandOverTcp>().empty());
  tcp().on_peeked(c.id, {peek.sequence, PeekStatus::kWouldBlock, {}, false}, {now, sink});
  collect();
  feed(ack(c));
  EXPECT_EQ(all<HandOverTcp>().size(), 1u);
}

TEST_F(TcpHandOver, NotWithAGap) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kLong);
  feed(data(c, 100, 50));  // Behind a gap.
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(ack(c));
  EXPECT_TRUE(all<HandOverTcp>().empty());
  feed(data(c, 0, 100));
  host_takes(c, 150);
  EXPECT_EQ(take<HandOverTcp>().snapshot.receive_next, c.next + 150);
}

TEST_F(TcpHandOver, NotAheadOfAFinThatCameEarly) {
  Connection c = establish();
  GuestSegment early = fin(c);
  early.sequence += 100;
  feed(early);
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(ack(c));
  EXPECT_TRUE(all<HandOverTcp>().empty());
  feed(data(c, 0, 100));
  host_takes(c, 100);
  EXPECT_TRUE(all<HandOverTcp>().empty());
  EXPECT_EQ(all<ShutdownTcp>().size(), 1u);
}

TEST_F(TcpHandOver, NotAfterTheGuestsFin) {
  const Connection c = establish();
  feed(fin(c));
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(ack(c));
  EXPECT_TRUE(all<HandOverTcp>().empty());
  EXPECT_EQ(flow(c)->hand_over, HandOverStage::kNone);
}

TEST_F(TcpHandOver, NotAfterTheHostsFin) {
  Connection c = establish();
  host_ends(c);
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(ack(c));
  EXPECT_TRUE(all<HandOverTcp>().empty());
}

TEST_F(TcpHandOver, AFinWhileItIsWantedEndsTheWait) {
  Connection c = establish();
  host_sends(c, stream(0, 100));
  c.host_next = c.host_next - 100;
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(ack(c));
  EXPECT_EQ(flow(c)->hand_over, HandOverStage::kWanted);
  clear();
  feed(fin(c));
  EXPECT_EQ(flow(c)->hand_over, HandOverStage::kNone);
  EXPECT_EQ(all<ShutdownTcp>().size(), 1u);
  EXPECT_TRUE(all<HandOverTcp>().empty());
}

TEST_F(TcpHandOver, NothingIsPeekedOrOfferedWhileItIsWanted) {
  Connection c = establish({.room = 1000});
  host_sends(c, stream(0, 100));
  c.host_next = c.host_next - 100;
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(ack(c));
  clear();
  tcp().on_readable(c.id, false, {now, sink});
  tcp().on_room(c.id, 0, 4 * 1024 * 1024, {now, sink});
  collect();
  EXPECT_TRUE(actions.empty());
  EXPECT_TRUE(frames.empty());
  const wire::SeqNum edge = std::get<Relaying>(flow(c)->state).rx.window_edge;
  feed(data(c, 0, 100));
  c.next += 100;
  clear();
  host_takes(c, 100, 4 * 1024 * 1024);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
  // But for what the scale cannot express.
  EXPECT_LT(std::get<Relaying>(flow(c)->state).rx.window_edge - edge, 1 << TcpFlows::kWindowScale);
}

TEST_F(TcpHandOver, PatienceRunsOut) {
  Connection c = establish();
  host_sends(c, stream(0, 100));
  c.host_next = c.host_next - 100;
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(ack(c));
  tcp().on_readable(c.id, false, {now, sink});
  collect();
  clear();
  pass(99ms);
  EXPECT_TRUE(frames.empty());
  pass(1ms);
  EXPECT_EQ(flow(c)->hand_over, HandOverStage::kNone);
  // The guest is told the window as it is, and what the host had meanwhile is asked for.
  ASSERT_GE(frames.size(), 1u);
  EXPECT_EQ(frames.front().tcp().flags(), wire::kAck);
  EXPECT_EQ(frames.front().tcp().acknowledgment(), c.next);
  ASSERT_EQ(all<PeekTcp>().size(), 1u);
  EXPECT_EQ(all<PeekTcp>().front().sequence, c.host_next + 100);
  EXPECT_TRUE(all<HandOverTcp>().empty());
}

TEST_F(TcpHandOver, AFailureHasToBePaidFor) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kLong);
  send_much(c, kEnough);
  clear();
  tcp().on_hand_over_failed(c.id, {now, sink});
  collect();
  send_much(c, 3 * kEnough - 1);
  EXPECT_TRUE(all<HandOverTcp>().empty());
  send(c, 1);
  EXPECT_EQ(all<HandOverTcp>().size(), 1u);
}

TEST_F(TcpHandOver, WithAlwaysAFailureHasToBePaidForToo) {
  Connection c = asked();
  fail(c);
  clear();
  feed(ack(c));
  EXPECT_TRUE(all<HandOverTcp>().empty());
}

// A bulk transfer must not be brought to a standstill with every burst of its.
TEST_F(TcpHandOver, ManyFailuresAreTheEnd) {
  Connection c = establish();
  tcp().set_hand_over(HandOverWhen::kLong);
  const Bytes bytes = stream(0, 32 * 1024);
  std::size_t asked_for = 0;
  for (int i = 0; i < 48 * 1024; ++i) {  // 1.5 GiB.
    GuestSegment segment = ack(c);
    segment.payload = bytes;
    feed(segment);
    c.next += static_cast<std::uint32_t>(bytes.size());
    host_takes(c, bytes.size(), 4 * 1024 * 1024);
    if (is_asked_for(c)) {
      ++asked_for;
      tcp().on_hand_over_failed(c.id, {now, sink});
      collect();
    }
    clear();
  }
  EXPECT_EQ(asked_for, 6u);
}

// The snapshot.

TEST_F(TcpHandOver, SnapshotHasNumbersWindowsAndOptions) {
  Connection c = establish({.options = {.mss = 1400, .window_scale = 5, .sack_permitted = true}});
  send(c, 300);
  host_sends(c, stream(0, 50));
  c.window = 700;
  tcp().set_hand_over(HandOverWhen::kAlways);
  clear();
  feed(ack(c));
  const wire::TcpSnapshot snapshot = take<HandOverTcp>().snapshot;
  EXPECT_EQ(snapshot, (wire::TcpSnapshot{.local = kServer,
                                         .peer = kGuest,
                                         .send_next = c.host_next,
                                         .receive_next = c.next,
                                         .send_window = 700 << 5,
                                         .receive_window = 1024 * 1024,
                                         .segment_size = 1400,
                                         .scaled = true,
                                         .send_scale = 5,
                                         .receive_scale = TcpFlows::kWindowScale,
                                         .sack = true}));
}

TEST_F(TcpHandOver, SnapshotWithoutOptions) {
  Connection c = asked({.window = 0x8000, .options = {.mss = 536}});
  const wire::TcpSnapshot snapshot = take<HandOverTcp>().snapshot;
  EXPECT_EQ(snapshot, (wire::TcpSnapshot{.local = kServer,
                                         .peer = kGuest,
                                         .send_next = c.host_next,
                                         .receive_next = c.next,
                                         .send_window = 0x8000,
                                         .receive_window = 0xffff,
                                         .segment_size = 536}));
}

TEST_F(TcpHandOver, SnapshotOfIpv6) {
  const ConnectionOptions wanted{.guest = endpoint("[fd00::15]:40000"),
                                 .remote = endpoint("[2600::7]:80")};
  EngineOptions options;
  options.network.guest_v6 = ip("fd00::15");
  restart(options);
  const Connection c = asked(wanted);
  const wire::TcpSnapshot snapshot = take<HandOverTcp>().snapshot;
  EXPECT_EQ(snapshot.local, wanted.remote);
  EXPECT_EQ(snapshot.peer, wanted.guest);
  GuestSegment more = data(c, 0, 200);
  feed_diverted(more);
  ASSERT_EQ(diverted.size(), 1u);
  EXPECT_EQ(diverted[0].packet.size(), 40u + 20u + 200u);
  fail(c);
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, stream(0, 200));
}

TEST_F(TcpHandOver, TheWindowNeverMovesLeft) {
  // Of odd length, so that the scale cannot express what is left of the window.
  Connection c = establish({.room = 3 * 1024 * 1024});
  send_much(c, 64 * 1024);
  feed(data(c, c.sent, 333));
  c.next += 333;
  c.sent += 333;
  clear();
  host_takes(c, 333, 3 * 1024 * 1024);
  const wire::SeqNum edge = edge_of(take_frame());
  ASSERT_GT(edge - c.next, 1024 * 1024);
  feed(data(c, c.sent, 5));  // Leaves the edge as it is.
  c.next += 5;
  tcp().set_hand_over(HandOverWhen::kAlways);
  clear();
  host_takes(c, 5, 0);
  const wire::TcpSnapshot snapshot = take<HandOverTcp>().snapshot;
  const wire::SeqNum told = edge_of(take_frame());
  EXPECT_GE(told, edge);
  EXPECT_GE(snapshot.receive_next + snapshot.receive_window, told);
  tcp().on_handed_over(c.id, {now, sink});
  collect();
  EXPECT_GE(edge_of(take_frame()), told);
}

}  // namespace
}  // namespace sluice::flow::test
