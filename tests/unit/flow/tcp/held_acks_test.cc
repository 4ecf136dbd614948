// ACKs that wait for the host's answer.
#include "flow/tcp/held_acks.h"

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

constexpr std::size_t kRequest = 100;

class HeldAcksTest : public TcpFixture {
 protected:
  HeldAcksTest() { restart_waiting({}); }

  // A request that is answered, after so long.
  void exchange(Connection& c, Duration after) {
    send(c, kRequest);
    pass(after);
    host_sends(c, stream(0, kRequest));
    feed(ack(c));
  }
};

TEST_F(HeldAcksTest, ARequestIsAcknowledgedByItsAnswer) {
  Connection c = establish();
  send(c, kRequest);
  EXPECT_TRUE(frames.empty());
  pass(900us);
  host_sends(c, stream(0, 10));
  const Received answer = take_frame();
  EXPECT_EQ(answer.tcp().acknowledgment(), c.next);
  EXPECT_EQ(answer.tcp().payload().size(), 10u);
  pass(1s);
  EXPECT_TRUE(frames.empty());
}

TEST_F(HeldAcksTest, WhatWasAnsweredWakesNobody) {
  Connection c = establish();
  const Instant quiet = engine().next_wakeup();
  send(c, kRequest);
  EXPECT_EQ(engine().next_wakeup(), now + HeldAcks::kPatience);
  host_sends(c, stream(0, 10));
  feed(ack(c));
  EXPECT_GE(engine().next_wakeup(), std::min(quiet, now + 10ms));
}

TEST_F(HeldAcksTest, WithoutAnAnswerTheAckGoesAlone) {
  Connection c = establish();
  send(c, kRequest);
  pass(HeldAcks::kPatience - 1ns);
  EXPECT_TRUE(frames.empty());
  pass(1ns);
  const Received alone = take_frame();
  EXPECT_EQ(alone.tcp().acknowledgment(), c.next);
  EXPECT_TRUE(alone.tcp().payload().empty());
}

TEST_F(HeldAcksTest, AfterALateAnswerAcksGoAtOnceForAWhile) {
  Connection c = establish();
  exchange(c, 20ms);
  for (int i = 0; i < HeldAcks::kAnswersInTime; ++i) {
    frames.clear();
    send(c, kRequest);
    EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
    host_sends(c, stream(0, 1));
    feed(ack(c));
  }
  frames.clear();
  send(c, kRequest);
  EXPECT_TRUE(frames.empty());
}

TEST_F(HeldAcksTest, AnswersThatAreLateDoNotCountAsInTime) {
  Connection c = establish();
  exchange(c, 20ms);
  for (int i = 0; i < 3 * HeldAcks::kAnswersInTime; ++i) {
    frames.clear();
    send(c, kRequest);
    EXPECT_EQ(frames.size(), 1u);
    pass(20ms);
    host_sends(c, stream(0, 1));
    feed(ack(c));
  }
}

TEST_F(HeldAcksTest, AFinIsAcknowledgedByTheHostsFin) {
  Connection c = establish();
  feed(fin(c));
  c.next += 1;
  EXPECT_EQ(all<ShutdownTcp>().size(), 1u);
  EXPECT_TRUE(frames.empty());
  actions.clear();
  tcp().on_readable(c.id, true, {now, sink});
  collect();
  tcp().on_peeked(c.id, {take<PeekTcp>().sequence, PeekStatus::kEndOfStream, {}, false},
                  {now, sink});
  collect();
  const Received both = take_frame();
  EXPECT_TRUE(both.tcp().flags().fin());
  EXPECT_EQ(both.tcp().acknowledgment(), c.next);
}

TEST_F(HeldAcksTest, AFinThatIsNotAnsweredIsAcknowledgedSoon) {
  Connection c = establish();
  feed(fin(c));
  c.next += 1;
  pass(HeldAcks::kPatience);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
}

TEST_F(HeldAcksTest, OfAWholeSegmentTheAckGoesAtOnce) {
  Connection c = establish();
  send(c, 1460);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
}

// RFC 9293, 3.8.6.3: at least every second full-sized segment.
TEST_F(HeldAcksTest, SmallPiecesWaitUntilTheyAreASegmentTogether) {
  Connection c = establish();
  for (int i = 0; i < 14; ++i) send(c, kRequest);
  EXPECT_TRUE(frames.empty());
  send(c, kRequest);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
}

TEST_F(HeldAcksTest, APieceThatFollowsDoesNotMakeTheFirstWaitLonger) {
  Connection c = establish();
  send(c, kRequest);
  pass(900us);
  send(c, kRequest);
  EXPECT_TRUE(frames.empty());
  pass(100us);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
}

TEST_F(HeldAcksTest, WhatTheHostHasNotTakenIsAcknowledgedAtOnce) {
  Connection c = establish();
  feed(data(c, 0, kRequest));
  c.next += kRequest;
  c.sent += kRequest;
  tcp().on_written(c.id, {kRequest, kRequest, 0}, {now, sink});
  collect();
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
}

TEST_F(HeldAcksTest, NobodyWaitsForAHostThatHasEnded) {
  Connection c = establish();
  tcp().on_readable(c.id, true, {now, sink});
  collect();
  tcp().on_peeked(c.id, {take<PeekTcp>().sequence, PeekStatus::kEndOfStream, {}, false},
                  {now, sink});
  collect();
  c.host_next += 1;
  frames.clear();
  send(c, kRequest);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
}

TEST_F(HeldAcksTest, BeyondSoManyAcksGoAtOnce) {
  std::vector<Connection> waiting;
  for (std::size_t i = 0; i <= HeldAcks::kMax; ++i) {
    const auto port = static_cast<std::uint16_t>(20000 + i);
    waiting.push_back(establish({.guest = {kGuest.address, wire::Port{port}}}));
    send(waiting.back(), kRequest);
    EXPECT_EQ(frames.size(), i < HeldAcks::kMax ? 0u : 1u);
  }
  // One that ends makes room, whatever waits before it.
  frames.clear();
  feed(rst(waiting.front()));
  feed(rst(waiting[1]));
  send(waiting.back(), kRequest);
  EXPECT_TRUE(frames.empty());
  pass(HeldAcks::kPatience);
  EXPECT_EQ(frames.size(), HeldAcks::kMax - 1);
}

TEST_F(HeldAcksTest, AConnectionIsNotHandedOverWithAnAckOwed) {
  tcp().set_hand_over(HandOverWhen::kLong);
  Connection c = establish();
  for (int i = 0; i < 8; ++i) send(c, 32 * 1024 - 10);
  EXPECT_TRUE(all<HandOverTcp>().empty());
  frames.clear();
  send(c, kRequest);
  ASSERT_EQ(all<HandOverTcp>().size(), 1u);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
}

}  // namespace
}  // namespace sluice::flow::test
