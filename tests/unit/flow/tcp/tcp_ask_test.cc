// Flows that wait for a verdict, before the host hears of them and before it gets their first
// bytes.
#include <gtest/gtest.h>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class TcpAsk : public TcpFixture {
 protected:
  void ask_all() { engine().set_ask({.tcp = true}); }
  void gate_all() { engine().set_ask({.gate = Gate::kFirstBytes}); }

  // The only question that is new; forgets all actions.
  AskPolicy question(AskStage stage) {
    const auto asked = take<AskPolicy>();
    EXPECT_EQ(asked.stage, stage);
    EXPECT_EQ(asked.flow.protocol, wire::IpProtocol::kTcp);
    return asked;
  }
  void answer(const AskPolicy& asked, const Ruling& ruling) {
    engine().on_verdict(asked.flow, ruling, {now, sink});
    collect();
  }
  void let_through(const AskPolicy& asked, Gate gate = Gate::kOpen) {
    answer(asked, {.stage = asked.stage, .gate = gate});
  }
  void refuse(const AskPolicy& asked, policy::Verdict verdict) {
    answer(asked, {.stage = asked.stage, .verdict = verdict});
  }
  // A connection of the guest's that stands, with its first bytes kept.
  Connection open_gated() {
    gate_all();
    return establish();
  }
  // What the guest sent is `length` bytes from the beginning.
  AskPolicy first_bytes(Connection& c, std::size_t length) {
    feed(data(c, c.sent, length));
    c.next += static_cast<std::uint32_t>(length);
    c.sent += length;
    return question(AskStage::kFirstBytes);
  }
  static Bytes bytes_of(const AskPolicy& asked) { return {asked.bytes.begin(), asked.bytes.end()}; }
  [[nodiscard]] FlowSummary report() const {
    const auto all_reports = all<ReportFlow>();
    EXPECT_EQ(all_reports.size(), 1u);
    return all_reports.empty() ? FlowSummary{} : all_reports.front().summary;
  }
};

TEST_F(TcpAsk, NothingIsAskedOfItself) {
  const Connection c = establish();
  EXPECT_NE(flow(c), nullptr);
  EXPECT_TRUE(all<AskPolicy>().empty());
}

TEST_F(TcpAsk, TheHostIsAskedForNoConnectionBeforeTheAnswer) {
  ask_all();
  feed(syn({}));
  EXPECT_TRUE(all<ConnectTcp>().empty());
  EXPECT_TRUE(frames.empty());
  const AskPolicy asked = question(AskStage::kNewFlow);
  EXPECT_EQ(asked.key.remote, kServer);
  let_through(asked);
  const auto wanted = take<ConnectTcp>();
  EXPECT_EQ(wanted.target, kServer);
  tcp().on_connected(wanted.flow, 64 * 1024, {now, sink});
  collect();
  EXPECT_TRUE(take_frame().tcp().flags().syn());
}

TEST_F(TcpAsk, ARefusalIsToldByName) {
  ask_all();
  feed(syn({}));
  refuse(question(AskStage::kNewFlow), policy::Verdict::kAskRefused);
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_TRUE(all<CloseTcp>().empty());  // There is nothing to close.
  EXPECT_TRUE(all<WithdrawAsk>().empty());
  EXPECT_EQ(report().verdict, policy::Verdict::kAskRefused);
  EXPECT_EQ(report().outcome, policy::Outcome::kNotAccepted);
  EXPECT_EQ(drops(DropReason::kAskRefused), 1u);
  EXPECT_EQ(engine().limits().active(), 0u);
}

TEST_F(TcpAsk, WhoGetsNoAnswerIsRefusedInTheEnd) {
  ask_all();
  feed(syn({}));
  const AskPolicy asked = question(AskStage::kNewFlow);
  pass(59s);
  EXPECT_TRUE(frames.empty());
  pass(2s);
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(all<WithdrawAsk>().size(), 1u);
  EXPECT_EQ(report().verdict, policy::Verdict::kAskTimedOut);
  EXPECT_EQ(drops(DropReason::kAskTimedOut), 1u);
  actions.clear();
  let_through(asked);  // Too late.
  EXPECT_TRUE(actions.empty());
}

TEST_F(TcpAsk, ARepeatedSynIsNotAskedAboutAgain) {
  ask_all();
  feed(syn({}));
  (void)question(AskStage::kNewFlow);
  feed(syn({}));
  EXPECT_TRUE(actions.empty());
  EXPECT_EQ(drops(DropReason::kTcpDuplicateSyn), 1u);
}

TEST_F(TcpAsk, AnotherSynIsAnotherQuestion) {
  ask_all();
  feed(syn({}));
  const AskPolicy first = question(AskStage::kNewFlow);
  feed(syn({.guest_isn = wire::SeqNum{70'000}}));
  EXPECT_EQ(all<WithdrawAsk>().size(), 1u);
  const AskPolicy second = question(AskStage::kNewFlow);
  let_through(first);
  EXPECT_TRUE(all<ConnectTcp>().empty());
  let_through(second);
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
}

TEST_F(TcpAsk, AGuestThatGivesUpWithdrawsItsQuestion) {
  ask_all();
  feed(syn({}));
  const AskPolicy asked = question(AskStage::kNewFlow);
  GuestSegment reset = syn({});
  reset.flags = wire::kRst;
  feed(reset);
  EXPECT_EQ(take<WithdrawAsk>().flow, asked.flow);
  let_through(asked);
  EXPECT_TRUE(actions.empty());
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(TcpAsk, SoManyWaitAndNoMore) {
  engine().set_ask({.tcp = true, .flows_max = 1});
  feed(syn({}));
  const AskPolicy asked = question(AskStage::kNewFlow);
  feed(syn({.guest = endpoint("10.0.2.15:40001")}));
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(drops(DropReason::kAskQueueFull), 1u);
  EXPECT_EQ(engine().limits().active(), 1u);
  actions.clear();
  let_through(asked);
  feed(syn({.guest = endpoint("10.0.2.15:40002")}));
  EXPECT_EQ(all<AskPolicy>().size(), 1u);
}

TEST_F(TcpAsk, TheEndWithdrawsWhatIsOpen) {
  ask_all();
  feed(syn({}));
  (void)question(AskStage::kNewFlow);
  EXPECT_TRUE(engine().shut_down({now, sink}).empty());
  collect();
  EXPECT_EQ(all<WithdrawAsk>().size(), 1u);
  EXPECT_TRUE(all<CloseTcp>().empty());
}

TEST_F(TcpAsk, FirstBytesAreKeptAndAcknowledged) {
  Connection c = open_gated();
  const AskPolicy asked = first_bytes(c, 100);
  EXPECT_EQ(bytes_of(asked), stream(0, 100));
  EXPECT_FALSE(asked.finished);
  EXPECT_TRUE(writes.empty());
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
  const AskPolicy more = first_bytes(c, 50);
  EXPECT_EQ(bytes_of(more), stream(0, 150));
}

TEST_F(TcpAsk, WhatIsLetThroughGoesOutInOneWrite) {
  Connection c = open_gated();
  (void)first_bytes(c, 100);
  const AskPolicy asked = first_bytes(c, 50);
  clear();
  let_through(asked);
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, stream(0, 150));
  EXPECT_EQ(writes[0].action.offset, 0u);
  host_takes(c, 150);
  clear();
  feed(data(c, 150, 10));  // From here on it is as any other.
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].action.offset, 150u);
  EXPECT_EQ(writes[0].bytes, stream(150, 10));
  EXPECT_TRUE(all<AskPolicy>().empty());
}

TEST_F(TcpAsk, AServerMaySpeakFirst) {
  Connection c = open_gated();
  host_sends(c, stream(7, 20));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].tcp().payload().size(), 20u);
  EXPECT_TRUE(all<AskPolicy>().empty());
}

TEST_F(TcpAsk, WhatIsRefusedNeverReachesTheHost) {
  Connection c = open_gated();
  const AskPolicy asked = first_bytes(c, 100);
  clear();
  refuse(asked, policy::Verdict::kFirstBytesRefused);
  EXPECT_TRUE(writes.empty());
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_TRUE(all<CloseTcp>().at(0).reset);
  EXPECT_EQ(report().verdict, policy::Verdict::kFirstBytesRefused);
  EXPECT_EQ(report().bytes_to_host, 0u);
  EXPECT_EQ(drops(DropReason::kFirstBytesRefused), 1u);
}

TEST_F(TcpAsk, FirstBytesAreJudgedInTime) {
  Connection c = open_gated();
  pass(60s);  // Nothing was sent yet: there is nothing to judge.
  EXPECT_NE(flow(c), nullptr);
  (void)first_bytes(c, 100);
  clear();
  pass(11s);
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_EQ(report().verdict, policy::Verdict::kFirstBytesTimedOut);
  EXPECT_EQ(all<WithdrawAsk>().size(), 1u);
}

TEST_F(TcpAsk, TheGuestIsOfferedNoMoreThanIsKept) {
  Connection c = open_gated();
  std::uint64_t asked = 0;
  for (int i = 0; i < 40; ++i) {
    feed(data(c, c.sent, 1000));
    if (const auto questions = all<AskPolicy>(); !questions.empty()) {
      asked = questions.back().bytes.size();
    }
    c.next += 1000;
    c.sent += 1000;
  }
  EXPECT_GE(asked, KeptBytes::kMax);
  EXPECT_LE(asked, KeptBytes::kMax + KeptBytes::kRounding);
  EXPECT_GT(drops(DropReason::kTcpOutsideWindow), 0u);
}

TEST_F(TcpAsk, WhatIsJudgedHasNoGaps) {
  Connection c = open_gated();
  feed(data(c, 100, 100));
  EXPECT_TRUE(all<AskPolicy>().empty());
  EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next);
  EXPECT_EQ(bytes_of(first_bytes(c, 100)), stream(0, 100));
}

TEST_F(TcpAsk, AFinFollowsWhatItStoodBehind) {
  Connection c = open_gated();
  (void)first_bytes(c, 100);
  feed(fin(c));
  const AskPolicy asked = question(AskStage::kFirstBytes);
  EXPECT_TRUE(asked.finished);
  let_through(asked);
  EXPECT_TRUE(all<ShutdownTcp>().empty());
  host_takes(c, 100);
  EXPECT_EQ(all<ShutdownTcp>().size(), 1u);
}

TEST_F(TcpAsk, WhatTheHostDoesNotTakeIsOfferedAgain) {
  Connection c = open_gated();
  const AskPolicy asked = first_bytes(c, 100);
  clear();
  let_through(asked);
  tcp().on_written(c.id, {30, 0, 0}, {now, sink});
  collect();
  EXPECT_EQ(writes.size(), 1u);
  tcp().on_room(c.id, 0, 1000, {now, sink});
  collect();
  ASSERT_EQ(writes.size(), 2u);
  EXPECT_EQ(writes[1].action.offset, 30u);
  EXPECT_EQ(writes[1].bytes, stream(30, 70));
  tcp().on_written(c.id, {0, 0, 0}, {now, sink});
  pass(100ms);  // Also when nothing tells of room.
  ASSERT_GE(writes.size(), 3u);
  host_takes(c, 70);
  EXPECT_TRUE(std::holds_alternative<Relaying>(flow(c)->state));
}

TEST_F(TcpAsk, AGuestThatResetsWithdrawsItsQuestion) {
  Connection c = open_gated();
  const AskPolicy asked = first_bytes(c, 100);
  clear();
  feed(rst(c));
  EXPECT_TRUE(all<CloseTcp>().at(0).reset);
  EXPECT_EQ(all<WithdrawAsk>().size(), 1u);
  actions.clear();
  let_through(asked);
  EXPECT_TRUE(actions.empty());
}

TEST_F(TcpAsk, AHostThatFailsIsPassedOn) {
  Connection c = open_gated();
  (void)first_bytes(c, 100);
  clear();
  tcp().on_host_error(c.id, HostError::kReset, {now, sink});
  collect();
  const auto peek = take<PeekTcp>();
  tcp().on_peeked(c.id, {peek.sequence, PeekStatus::kEndOfStream, {}, false}, {now, sink});
  collect();
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_EQ(all<WithdrawAsk>().size(), 1u);
}

TEST_F(TcpAsk, AnAnswerToTheFirstQuestionIsNoneToTheSecond) {
  ask_all();
  feed(syn({}));
  const AskPolicy new_flow = question(AskStage::kNewFlow);
  let_through(new_flow, Gate::kFirstBytes);
  Connection c{.id = take<ConnectTcp>().flow,
               .guest = kGuest,
               .remote = kServer,
               .next = wire::SeqNum{1000},
               .host_next = {}};
  tcp().on_connected(c.id, 64 * 1024, {now, sink});
  collect();
  c.host_next = frames.back().tcp().sequence() + 1;
  feed(ack(c));
  const AskPolicy asked = first_bytes(c, 10);
  clear();
  let_through(new_flow);
  EXPECT_TRUE(writes.empty());
  let_through(asked);
  EXPECT_EQ(writes.size(), 1u);
}

TEST_F(TcpAsk, NothingIsHandedOverBehindAGate) {
  tcp().set_hand_over(HandOverWhen::kAlways);
  Connection c = open_gated();
  EXPECT_TRUE(all<HandOverTcp>().empty());
  const AskPolicy asked = first_bytes(c, 100);
  let_through(asked);
  EXPECT_TRUE(all<HandOverTcp>().empty());
  host_takes(c, 100);
  EXPECT_EQ(all<HandOverTcp>().size(), 1u);
}

TEST_F(TcpAsk, OurDnsIsNotAskedAbout) {
  engine().set_ask({.tcp = true, .gate = Gate::kFirstBytes});
  feed(syn({.remote = {network().dns_v4, wire::Port{53}}}));
  EXPECT_TRUE(all<AskPolicy>().empty());
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
}

}  // namespace
}  // namespace sluice::flow::test
