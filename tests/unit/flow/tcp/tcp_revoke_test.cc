// TCP flows that a new policy, or a person, ends.
#include <gtest/gtest.h>

#include "unit/flow/tcp/hand_over_fixture.h"

namespace sluice::flow::test {
namespace {

class TcpRevoke : public HandOverFixture {
 protected:
  void deny(const char* rule) {
    clear();
    policy_ = denying(rule);
    engine().set_policy(policy_, {now, sink});
    collect();
  }
  policy::EgressPolicy policy_;
  [[nodiscard]] FlowSummary report() const {
    const auto reports = all<ReportFlow>();
    EXPECT_EQ(reports.size(), 1u);
    return reports.empty() ? FlowSummary{} : reports.front().summary;
  }
  void expect_cut_off(const Connection& c) {
    EXPECT_EQ(flow(c), nullptr);
    const auto closed = all<CloseTcp>();
    ASSERT_EQ(closed.size(), 1u);
    EXPECT_EQ(closed.front().flow, c.id);
    EXPECT_TRUE(closed.front().reset);
    EXPECT_TRUE(closed.front().at_once);
    EXPECT_EQ(report().verdict, policy::Verdict::kRevoked);
    EXPECT_EQ(report().outcome, policy::Outcome::kCutOff);
    EXPECT_EQ(drops(DropReason::kRevoked), 1u);
    EXPECT_EQ(engine().limits().active(), 0u);
  }
};

TEST_F(TcpRevoke, BothSidesAreResetAtOnce) {
  Connection c = establish();
  send(c, 1000);
  deny("198.51.100.0/24");
  const Received reset = take_frame();
  EXPECT_TRUE(reset.tcp().flags().rst());
  EXPECT_EQ(reset.tcp().sequence(), c.host_next);
  expect_cut_off(c);
  EXPECT_EQ(report().bytes_to_host, 1000u);
}

TEST_F(TcpRevoke, WhatIsStillLetThroughHearsNothing) {
  Connection c = establish();
  deny("203.0.113.0/24");
  EXPECT_TRUE(actions.empty());
  EXPECT_TRUE(frames.empty());
  send(c, 1000);
  EXPECT_NE(flow(c), nullptr);
}

TEST_F(TcpRevoke, SoIsOneThatTheGuestsKernelCarries) {
  const Connection c = handed_over();
  deny("198.51.100.0/24");
  EXPECT_TRUE(frames.empty());  // Its socket in the guest's namespace resets it.
  expect_cut_off(c);
  EXPECT_EQ(all<ReleaseTcp>().size(), 1u);
}

TEST_F(TcpRevoke, SoIsOneThatIsJustBeingHandedOver) {
  const Connection c = asked();
  deny("198.51.100.0/24");
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  expect_cut_off(c);
  tcp().on_handed_over(c.id, {now, sink});
  collect();
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(TcpRevoke, OneThatConnectsHasNotBegun) {
  feed(syn({}));
  const TcpId id = take<ConnectTcp>().flow;
  deny("198.51.100.0/24");
  EXPECT_EQ(report().verdict, policy::Verdict::kRevoked);
  EXPECT_EQ(report().outcome, policy::Outcome::kNotAccepted);
  EXPECT_EQ(take<CloseTcp>().flow, id);
  tcp().on_connected(id, 1000, {now, sink});
  collect();
  EXPECT_TRUE(frames.empty());
}

TEST_F(TcpRevoke, AnOpenQuestionIsWithdrawn) {
  engine().set_ask({.tcp = true});
  feed(syn({}));
  deny("198.51.100.0/24");
  EXPECT_EQ(all<WithdrawAsk>().size(), 1u);
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(engine().flow_count(), 0u);
  engine().set_ask({.tcp = true, .flows_max = 1});
  feed(syn({.remote = endpoint("203.0.113.1:80")}));  // Its place is free.
  EXPECT_EQ(all<AskPolicy>().size(), 1u);
}

TEST_F(TcpRevoke, KeptBytesGoNowhere) {
  engine().set_ask({.gate = Gate::kFirstBytes});
  Connection c = establish();
  feed(data(c, 0, 500));
  deny("198.51.100.0/24");
  EXPECT_TRUE(writes.empty());
  expect_cut_off(c);
}

TEST_F(TcpRevoke, WhoCalledAPublishedPortStays) {
  const wire::Endpoint client = endpoint("198.51.100.7:5000");
  const auto id = tcp().on_inbound(client, endpoint("10.0.2.15:80"), 1000, {now, sink});
  ASSERT_TRUE(id.has_value());
  collect();
  deny("198.51.100.0/24");
  EXPECT_TRUE(actions.empty());
  EXPECT_EQ(engine().flow_count(), 1u);
}

TEST_F(TcpRevoke, QuestionsToOurDnsGoOn) {
  const Connection c = connect({.remote = {network().dns_v4, wire::Port{53}}});
  deny("0.0.0.0/0");
  EXPECT_TRUE(all<CloseTcp>().empty());
  EXPECT_NE(flow(c), nullptr);
}

TEST_F(TcpRevoke, WhatIsThroughIsNotReportedAgain) {
  Connection c = establish();
  host_ends(c);
  feed(fin(c));
  tcp().on_written(c.id, {0, 0, 1000}, {now, sink});
  collect();
  c.next = c.next + 1;
  feed(ack(c));
  ASSERT_TRUE(flow(c) != nullptr && is_over(flow(c)->state));
  deny("198.51.100.0/24");
  EXPECT_TRUE(actions.empty());
}

}  // namespace
}  // namespace sluice::flow::test
