// UDP flows that wait for a verdict.
#include <gtest/gtest.h>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class UdpAsk : public EngineFixture {
 protected:
  UdpAsk() { engine().set_ask({.udp = true}); }

  void send(std::string_view text, std::uint16_t port = 40'000) {
    feed(udp_frame(network(), {kGuest.address, wire::Port{port}}, kServer,
                   Bytes(text.begin(), text.end())));
  }
  AskPolicy question() {
    const auto asked = take<AskPolicy>();
    EXPECT_EQ(asked.stage, AskStage::kNewFlow);
    EXPECT_EQ(asked.flow.protocol, wire::IpProtocol::kUdp);
    return asked;
  }
  void answer(const AskPolicy& asked, policy::Verdict verdict = policy::Verdict::kAccepted) {
    engine().on_verdict(asked.flow, {.verdict = verdict}, {now, sink});
    collect();
  }
  [[nodiscard]] FlowSummary report() const {
    const auto all_reports = all<ReportFlow>();
    EXPECT_EQ(all_reports.size(), 1u);
    return all_reports.empty() ? FlowSummary{} : all_reports.front().summary;
  }
};

TEST_F(UdpAsk, WhatIsLetThroughGoesOutInItsOrder) {
  send("one");
  EXPECT_TRUE(all<OpenUdp>().empty());
  const AskPolicy asked = question();
  send("two");
  EXPECT_TRUE(actions.empty());
  answer(asked);
  EXPECT_EQ(all<OpenUdp>().size(), 1u);
  ASSERT_EQ(datagrams.size(), 2u);
  EXPECT_EQ(datagrams[0].bytes, (Bytes{'o', 'n', 'e'}));
  EXPECT_EQ(datagrams[1].bytes, (Bytes{'t', 'w', 'o'}));
  EXPECT_EQ(datagrams[0].action.target, kServer);
  send("three");
  EXPECT_EQ(datagrams.size(), 3u);
}

TEST_F(UdpAsk, ARefusalIsToldByName) {
  send("one");
  const AskPolicy asked = question();
  answer(asked, policy::Verdict::kAskRefused);
  EXPECT_TRUE(datagrams.empty());
  EXPECT_TRUE(all<CloseUdp>().empty());
  EXPECT_EQ(frames.size(), 1u);  // ICMP: prohibited.
  EXPECT_EQ(report().verdict, policy::Verdict::kAskRefused);
  EXPECT_EQ(report().outcome, policy::Outcome::kNotAccepted);
  EXPECT_EQ(drops(DropReason::kAskRefused), 1u);
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_EQ(engine().limits().active(), 0u);
}

TEST_F(UdpAsk, WhoGetsNoAnswerIsRefusedInTheEnd) {
  send("one");
  const AskPolicy asked = question();
  pass(61s);
  EXPECT_EQ(all<WithdrawAsk>().size(), 1u);
  EXPECT_EQ(report().verdict, policy::Verdict::kAskTimedOut);
  actions.clear();
  answer(asked);  // Too late.
  EXPECT_TRUE(actions.empty());
}

TEST_F(UdpAsk, SoManyDatagramsAreKept) {
  for (int i = 0; i < 12; ++i) send("one");
  EXPECT_EQ(drops(DropReason::kUdpHeldFull), 4u);
  answer(question());
  EXPECT_EQ(datagrams.size(), HeldDatagrams::kBatchesMax);
}

TEST_F(UdpAsk, FlowsOfOneEndpointAreAskedAboutOneByOne) {
  send("one");
  const AskPolicy first = question();
  feed(udp_frame(network(), kGuest, endpoint("198.51.100.8:80"), Bytes{1}));
  const AskPolicy second = question();
  answer(second);
  EXPECT_EQ(all<OpenUdp>().size(), 1u);
  answer(first, policy::Verdict::kAskRefused);
  EXPECT_TRUE(all<CloseUdp>().empty());  // The other flow's.
  EXPECT_EQ(engine().udp().socket_count(), 1u);
}

TEST_F(UdpAsk, TheEndWithdrawsWhatIsOpen) {
  send("one");
  (void)question();
  EXPECT_TRUE(engine().shut_down({now, sink}).empty());
  collect();
  EXPECT_EQ(all<WithdrawAsk>().size(), 1u);
  EXPECT_TRUE(all<CloseUdp>().empty());
}

}  // namespace
}  // namespace sluice::flow::test
