// What people change while the guest runs, and what they see of it.
#include <gtest/gtest.h>

#include <set>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class EngineControl : public TcpFixture {
 protected:
  static constexpr std::uint64_t kBegin = 0;
  policy::EgressPolicy policy_;

  void deny_server() {
    policy_ = denying("198.51.100.0/24");
    engine().set_policy(policy_, {now, sink});
    collect();
  }
  void send_datagram(std::uint16_t port) {
    feed(udp_frame(network(), {kGuest.address, wire::Port{port}}, kServer, {'x'}));
  }
  void ping(std::uint16_t identifier) {
    feed(ping_frame(network(), kServer.address, identifier, 1, stream(0, 8)));
  }
  [[nodiscard]] std::vector<FlowSummary> list() {
    std::vector<FlowSummary> flows;
    EXPECT_EQ(engine().list_flows(kBegin, 1000, now, flows), std::nullopt);
    return flows;
  }
  bool cut_off(std::uint64_t number) {
    clear();
    const bool found = engine().cut_off(number, policy::Verdict::kKilled, {now, sink});
    collect();
    return found;
  }
};

TEST_F(EngineControl, AllThreeProtocolsAreJudgedAgain) {
  (void)establish();
  send_datagram(4000);
  ping(7);
  clear();
  deny_server();
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_EQ(all<CloseTcp>().size(), 1u);
  EXPECT_EQ(all<CloseUdp>().size(), 1u);
  EXPECT_EQ(all<ClosePing>().size(), 1u);
  for (const ReportFlow& report : all<ReportFlow>()) {
    EXPECT_EQ(report.summary.verdict, policy::Verdict::kRevoked);
    EXPECT_EQ(report.summary.outcome, policy::Outcome::kCutOff);
  }
  EXPECT_EQ(drops(DropReason::kRevoked), 3u);
  EXPECT_EQ(engine().limits().active(), 0u);
  // ... and new ones are refused by the same.
  send_datagram(4000);
  ping(7);
  EXPECT_EQ(drops(DropReason::kDeniedByPolicy), 2u);
}

TEST_F(EngineControl, ADatagramThatWaitsForAVerdictIsAnswered) {
  engine().set_ask({.udp = true});
  send_datagram(4000);
  clear();
  deny_server();
  EXPECT_EQ(frames.size(), 1u);  // ICMP: prohibited.
  EXPECT_EQ(all<WithdrawAsk>().size(), 1u);
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(EngineControl, APolicyThatAllowsMoreEndsNothing) {
  (void)establish();
  send_datagram(4000);
  clear();
  engine().set_policy(policy_, {now, sink});
  collect();
  EXPECT_TRUE(actions.empty());
  EXPECT_EQ(engine().flow_count(), 2u);
}

TEST_F(EngineControl, FlowsAreListedAsTheyStand) {
  Connection c = establish();
  send(c, 1000);
  send_datagram(4000);
  ping(7);
  const auto flows = list();
  ASSERT_EQ(flows.size(), 3u);
  EXPECT_EQ(flows[0].key.remote, kServer);
  EXPECT_EQ(flows[0].bytes_to_host, 1000u);
  EXPECT_EQ(flows[0].outcome, policy::Outcome::kOpen);
  EXPECT_FALSE(flows[0].carried);
  EXPECT_EQ(flows[1].key.protocol, wire::IpProtocol::kUdp);
  EXPECT_EQ(flows[2].key.protocol, wire::IpProtocol::kIcmp);
}

TEST_F(EngineControl, PagesHaveEachFlowOnce) {
  for (std::uint16_t port = 0; port < 100; ++port) {
    send_datagram(static_cast<std::uint16_t>(4000 + port));
    ping(port);
  }
  std::set<std::uint64_t> seen;
  std::optional<std::uint64_t> place = kBegin;
  int pages = 0;
  for (; place; ++pages) {
    std::vector<FlowSummary> flows;
    place = engine().list_flows(*place, 7, now, flows);
    EXPECT_LE(flows.size(), 7u);
    for (const FlowSummary& flow : flows) seen.insert(flow_number(flow.key, flow.opened));
  }
  EXPECT_EQ(seen.size(), 200u);
  EXPECT_EQ(pages, 29);
  // A place that nobody was given is as good as the end.
  std::vector<FlowSummary> none;
  EXPECT_EQ(engine().list_flows(~std::uint64_t{0}, 7, now, none), std::nullopt);
  EXPECT_TRUE(none.empty());
}

TEST_F(EngineControl, OneFlowIsEndedByItsNumber) {
  const Connection c = establish();
  send_datagram(4000);
  ping(7);
  const auto flows = list();
  ASSERT_EQ(flows.size(), 3u);
  EXPECT_TRUE(cut_off(flow_number(flows[0].key, flows[0].opened)));
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(take<CloseTcp>().flow, c.id);
  EXPECT_EQ(drops(DropReason::kKilled), 1u);
  EXPECT_TRUE(cut_off(flow_number(flows[1].key, flows[1].opened)));
  EXPECT_EQ(all<CloseUdp>().size(), 1u);
  EXPECT_TRUE(cut_off(flow_number(flows[2].key, flows[2].opened)));
  EXPECT_EQ(all<ClosePing>().size(), 1u);
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_FALSE(cut_off(flow_number(flows[0].key, flows[0].opened)));
  EXPECT_TRUE(actions.empty());
}

}  // namespace
}  // namespace sluice::flow::test
