#include "flow/tcp/tcp_loopback.h"

#include <gtest/gtest.h>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow {
namespace {

using namespace test;
using policy::LoopbackUse;

class TcpLoopbackTest : public EngineFixture {
 protected:
  static constexpr std::uint32_t kRoom = 64 * 1024;

  TcpId call_port(const wire::Endpoint& client) {
    clear();
    const bool v4 = client.address.is_v4();
    const wire::IpAddress guest = v4 ? network().guest_v4 : network().guest_v6;
    const auto id = tcp().on_inbound(client, {guest, {80}}, kRoom, {now, sink});
    EXPECT_TRUE(id.has_value());
    collect();
    return id.value_or(TcpId{});
  }
  // The guest's kernel has nobody for our newest SYN.
  void refuse_syn() {
    const Received frame = take_frame();
    ASSERT_EQ(frame.tcp().flags(), wire::kSyn);
    feed(GuestSegment{.guest = {frame.packet().destination, frame.tcp().destination_port()},
                      .remote = {frame.packet().source, frame.tcp().source_port()},
                      .acknowledgment = frame.tcp().sequence() + 1,
                      .flags = wire::kRst | wire::kAck});
  }
  void refuse_syns() {
    refuse_syn();
    refuse_syn();  // Of the other family.
  }
  void guest_answers(TcpId id) {
    tcp().on_guest_answered(id, {now, sink});
    collect();
  }
  void guest_refuses(TcpId id) {
    tcp().on_guest_refused(id, {now, sink});
    collect();
  }
  std::vector<FlowSummary> live() const {
    std::vector<FlowSummary> flows;
    (void)engine_of().list_flows(0, 100, now, flows);
    return flows;
  }
  const Engine& engine_of() const { return const_cast<TcpLoopbackTest*>(this)->engine(); }

  const wire::Endpoint client_ = endpoint("127.0.0.1:6000");
  const wire::Endpoint server_ = endpoint("127.0.0.1:80");
  const wire::Endpoint server6_ = endpoint("[::1]:80");
};

TEST_F(TcpLoopbackTest, WhereTheGuestsAddressRefusesItsLoopbackIsCalled) {
  tcp().set_call_guest(LoopbackUse::kWhereRefused);
  const TcpId id = call_port(client_);
  EXPECT_TRUE(all<CallGuest>().empty());
  refuse_syns();
  EXPECT_EQ(take<CallGuest>().server, server_);
  guest_answers(id);
  EXPECT_EQ(take<JoinTcp>().flow, id);
  ASSERT_EQ(live().size(), 1U);
  EXPECT_TRUE(live()[0].by_loopback);
  EXPECT_FALSE(live()[0].carried);
  EXPECT_EQ(live()[0].key.guest, server_);
  EXPECT_EQ(live()[0].key.remote, client_);
}

TEST_F(TcpLoopbackTest, NobodyIsLedThereWhoDoesNotComeByOurLoopback) {
  tcp().set_call_guest(LoopbackUse::kFirst);
  (void)call_port(endpoint("192.0.2.9:6000"));
  EXPECT_TRUE(all<CallGuest>().empty());
  refuse_syn();
  EXPECT_TRUE(all<CallGuest>().empty());
  EXPECT_EQ(all<ReportFlow>().at(0).summary.outcome, policy::Outcome::kRefused);
}

TEST_F(TcpLoopbackTest, NobodyIsLedThereWhoCalledSomebodyBehindTheGuest) {
  tcp().set_call_guest(LoopbackUse::kFirst);
  ASSERT_TRUE(tcp().on_inbound(client_, endpoint("10.0.2.77:80"), kRoom, {now, sink}));
  collect();
  EXPECT_TRUE(all<CallGuest>().empty());
  EXPECT_EQ(frames.size(), 1U);
}

// Else a port that is published and leads out as well would call itself for ever.
TEST_F(TcpLoopbackTest, NobodyIsLedToAListenerOfOurs) {
  policy::PortMap out;
  out.guest_first = wire::Port{79};
  out.host_first = wire::Port{1079};
  out.count = 2;
  tcp().set_call_guest(LoopbackUse::kFirst, {out});
  (void)call_port(client_);
  EXPECT_TRUE(all<CallGuest>().empty());
  refuse_syns();
  EXPECT_TRUE(all<CallGuest>().empty());
  out.protocol = policy::Protocol::kUdp;
  EXPECT_FALSE(leads_out(std::vector{out}, policy::Protocol::kTcp, wire::Port{80}));
  out.protocol = policy::Protocol::kTcp;
  EXPECT_FALSE(leads_out(std::vector{out}, policy::Protocol::kTcp, wire::Port{81}));
  EXPECT_TRUE(leads_out(std::vector{out}, policy::Protocol::kTcp, wire::Port{80}));
}

TEST_F(TcpLoopbackTest, WhatLeadsOutChangesAsItRuns) {
  policy::PortMap out;
  out.guest_first = out.host_first = wire::Port{80};
  tcp().set_call_guest(LoopbackUse::kFirst, {out});
  tcp().set_lead_out({});
  (void)call_port(client_);
  EXPECT_EQ(all<CallGuest>().size(), 1U);
}

TEST_F(TcpLoopbackTest, NobodyIsLedThereWhereNobodySaysSo) {
  (void)call_port(client_);
  refuse_syns();
  EXPECT_TRUE(all<CallGuest>().empty());
  EXPECT_EQ(engine().flow_count(), 0U);
}

TEST_F(TcpLoopbackTest, TheOtherFamilyIsCalledAndThenTheClientIsRefused) {
  tcp().set_call_guest(LoopbackUse::kWhereRefused);
  const TcpId id = call_port(endpoint("[::1]:6000"));
  refuse_syns();
  EXPECT_EQ(take<CallGuest>().server, server6_);
  guest_refuses(id);
  EXPECT_EQ(take<CallGuest>().server, server_);
  guest_refuses(id);
  ASSERT_EQ(all<CloseTcp>().size(), 1U);
  EXPECT_TRUE(all<CloseTcp>()[0].reset);
  EXPECT_EQ(all<ReportFlow>().at(0).summary.outcome, policy::Outcome::kRefused);
  EXPECT_FALSE(all<ReportFlow>().at(0).summary.by_loopback);
  EXPECT_EQ(engine().flow_count(), 0U);
}

TEST_F(TcpLoopbackTest, AServerThatWasFoundThereIsBelievedForAMoment) {
  tcp().set_call_guest(LoopbackUse::kWhereRefused);
  const TcpId first = call_port(client_);
  refuse_syns();
  guest_answers(first);
  (void)call_port(endpoint("127.0.0.1:6001"));
  EXPECT_EQ(take<CallGuest>().server, server_);
  EXPECT_TRUE(frames.empty());
  pass(LoopbackServers::kBelievedFor);
  (void)call_port(endpoint("127.0.0.1:6002"));
  EXPECT_TRUE(all<CallGuest>().empty());
  EXPECT_EQ(frames.size(), 1U);
}

TEST_F(TcpLoopbackTest, OneThatHasGoneIsBelievedNoLonger) {
  tcp().set_call_guest(LoopbackUse::kWhereRefused);
  const TcpId first = call_port(client_);
  refuse_syns();
  guest_answers(first);
  const TcpId second = call_port(endpoint("127.0.0.1:6001"));
  guest_refuses(second);
  guest_refuses(second);
  EXPECT_EQ(frames.size(), 1U);  // By the link, as nobody waits there.
  (void)call_port(endpoint("127.0.0.1:6002"));
  EXPECT_TRUE(all<CallGuest>().empty());
}

TEST_F(TcpLoopbackTest, CalledFirstItsAddressFollowsWhereNobodyWaits) {
  tcp().set_call_guest(LoopbackUse::kFirst);
  const TcpId id = call_port(client_);
  EXPECT_EQ(take<CallGuest>().server, server_);
  EXPECT_TRUE(frames.empty());
  guest_refuses(id);
  EXPECT_EQ(take<CallGuest>().server, server6_);
  guest_refuses(id);
  refuse_syns();
  EXPECT_TRUE(all<CallGuest>().empty());  // That was tried.
  EXPECT_EQ(all<ReportFlow>().at(0).summary.outcome, policy::Outcome::kRefused);
}

TEST_F(TcpLoopbackTest, AClientThatGoesMeanwhileEndsIt) {
  tcp().set_call_guest(LoopbackUse::kFirst);
  const TcpId id = call_port(client_);
  clear();
  tcp().on_host_error(id, HostError::kReset, {now, sink});
  collect();
  EXPECT_EQ(all<CloseTcp>().size(), 1U);
  EXPECT_EQ(all<ReportFlow>().at(0).summary.outcome, policy::Outcome::kResetByHost);
  guest_answers(id);
  EXPECT_TRUE(all<JoinTcp>().empty());
}

TEST_F(TcpLoopbackTest, AServerThatHasNoRoomIsGivenUp) {
  tcp().set_call_guest(LoopbackUse::kFirst);
  (void)call_port(client_);
  pass(62s);
  EXPECT_EQ(engine().flow_count(), 1U);
  pass(2s);
  EXPECT_EQ(engine().flow_count(), 0U);
  EXPECT_EQ(all<ReportFlow>().at(0).summary.outcome, policy::Outcome::kTimedOut);
}

TEST_F(TcpLoopbackTest, AListenerOfOursLeadsToTheHost) {
  sink.want_openings(true);
  const wire::Endpoint program = endpoint("127.0.0.1:41000");
  const wire::Endpoint target = endpoint("127.0.0.1:5432");
  const auto id = tcp().on_loopback_client(program, target, {now, sink});
  ASSERT_TRUE(id.has_value());
  collect();
  EXPECT_EQ(all<ConnectTcp>().at(0).target, target);
  clear();
  tcp().on_connected(*id, kRoom, {now, sink});
  collect();
  ASSERT_EQ(all<ReportFlow>().size(), 1U);
  EXPECT_TRUE(all<ReportFlow>()[0].summary.opening);
  EXPECT_TRUE(all<ReportFlow>()[0].summary.by_loopback);
  EXPECT_EQ(take<JoinTcp>().flow, *id);
  EXPECT_TRUE(frames.empty());
  tcp().on_carried(*id, 10, 20, now);
  tcp().on_carried_to_end(*id, policy::Outcome::kClosed, {now, sink});
  collect();
  const FlowSummary summary = take<ReportFlow>().summary;
  EXPECT_EQ(summary.key.guest, program);
  EXPECT_EQ(summary.key.remote, target);
  EXPECT_FALSE(summary.inbound);
  EXPECT_EQ(summary.bytes_to_host, 10U);
  EXPECT_EQ(summary.bytes_to_guest, 20U);
  EXPECT_TRUE(all<ReleaseTcp>().empty());  // No packets were turned to it.
  EXPECT_EQ(engine().flow_count(), 0U);
}

TEST_F(TcpLoopbackTest, AHostThatRefusesResetsTheProgram) {
  const auto id =
      tcp().on_loopback_client(endpoint("[::1]:41000"), endpoint("[::1]:5432"), {now, sink});
  ASSERT_TRUE(id.has_value());
  tcp().on_connect_failed(*id, HostError::kRefused, {now, sink});
  collect();
  EXPECT_TRUE(all<CloseTcp>().at(0).reset);
  EXPECT_EQ(all<ReportFlow>().at(0).summary.outcome, policy::Outcome::kRefused);
}

TEST_F(TcpLoopbackTest, ItCountsForTheLimitsOfTheRun) {
  EngineOptions options;
  options.limits.max_flows = 1;
  restart(std::move(options));
  const wire::Endpoint target = endpoint("127.0.0.1:5432");
  ASSERT_TRUE(tcp().on_loopback_client(endpoint("127.0.0.1:41000"), target, {now, sink}));
  const auto second = tcp().on_loopback_client(endpoint("127.0.0.1:41001"), target, {now, sink});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error(), policy::Verdict::kTooManyFlows);
  collect();
  EXPECT_EQ(all<ReportFlow>().at(0).summary.verdict, policy::Verdict::kTooManyFlows);
}

TEST_F(TcpLoopbackTest, APolicyThatChangesIsNotAsked) {
  const auto id = tcp().on_loopback_client(endpoint("127.0.0.1:41000"), endpoint("127.0.0.1:5432"),
                                           {now, sink});
  tcp().on_connected(*id, kRoom, {now, sink});
  const policy::EgressPolicy nothing = denying("*");
  engine().set_policy(nothing, {now, sink});
  collect();
  EXPECT_EQ(engine().flow_count(), 1U);
  EXPECT_TRUE(engine().cut_off(flow_number(live().at(0).key, live().at(0).opened),
                               policy::Verdict::kRevoked, {now, sink}));
  collect();
  EXPECT_EQ(all<CloseTcp>().size(), 1U);
  EXPECT_EQ(engine().flow_count(), 0U);
}

TEST_F(TcpLoopbackTest, FramesOfItsNameAreNotItsOwn) {
  tcp().set_call_guest(LoopbackUse::kFirst);
  const TcpId id = call_port(client_);
  guest_answers(id);
  clear();
  feed(GuestSegment{.guest = {network().guest_v4, {80}},
                    .remote = {network().gateway_v4, client_.port},
                    .sequence = wire::SeqNum{77},
                    .acknowledgment = wire::SeqNum{99},
                    .flags = wire::kRst | wire::kAck});
  EXPECT_TRUE(actions.empty());
  EXPECT_EQ(engine().flow_count(), 1U);
}

}  // namespace
}  // namespace sluice::flow
