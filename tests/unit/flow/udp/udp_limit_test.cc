// Limits on what UDP and ICMP flows carry.
#include <gtest/gtest.h>

#include <optional>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

using policy::EgressPolicy;
using policy::TrafficLimit;
using policy::Verdict;

class UdpLimit : public EngineFixture {
 protected:
  void with(const TrafficLimit& limit) {
    policy_ = EgressPolicy::compile({.limit = limit}).value();
    restart({.egress = &*policy_});
  }
  void change(const TrafficLimit& limit) {
    auto next = EgressPolicy::compile({.limit = limit}).value();
    engine().set_policy(next, {now, sink});
    collect();
    policy_ = std::move(next);
  }
  void send(std::size_t bytes) {
    feed(udp_frame(network(), {kGuest.address, {40'000}}, kServer, stream(0, bytes)));
  }
  void receive(std::size_t bytes) {
    const UdpId socket = datagrams.front().action.socket;
    frames.clear();
    const Bytes payload = stream(0, bytes);
    engine().udp().on_received(socket, kServer, {}, payload, 0, {now, sink});
    collect();
  }
  [[nodiscard]] const policy::MeterUse& use() { return engine().meters().of_run()->use(); }
  [[nodiscard]] FlowSummary report() const {
    const auto reports = all<ReportFlow>();
    EXPECT_EQ(reports.size(), 1u);
    return reports.empty() ? FlowSummary{} : reports.back().summary;
  }
  [[nodiscard]] bool told_prohibited() const {
    if (frames.size() != 1) return false;
    const auto packet = frames.back().packet();
    return packet.protocol == wire::IpProtocol::kIcmp && packet.payload[0] == 3 &&
           packet.payload[1] == 13;
  }

 private:
  std::optional<EgressPolicy> policy_;
};

TEST_F(UdpLimit, AQuotaEndsTheFlowThatDoesNotFitInIt) {
  with({.to_host = {.bytes = 1000}});
  send(600);
  send(401);
  EXPECT_EQ(datagrams.size(), 1u);
  EXPECT_TRUE(told_prohibited());
  EXPECT_EQ(report().verdict, Verdict::kQuota);
  EXPECT_EQ(report().outcome, policy::Outcome::kCutOff);
  EXPECT_EQ(report().bytes_to_host, 600u);
  EXPECT_EQ(all<CloseUdp>().size(), 1u);
  EXPECT_EQ(use().ended, 1u);
  EXPECT_EQ(use().flows, 0u);
  clear();
  send(400);
  EXPECT_EQ(datagrams.size(), 1u) << "that fits";
  clear();
  send(1);
  EXPECT_TRUE(told_prohibited());
  clear();
  send(1);
  EXPECT_TRUE(told_prohibited());
  EXPECT_EQ(report().outcome, policy::Outcome::kNotAccepted) << "no flow begins any more";
}

TEST_F(UdpLimit, WhatIsOverARateIsLostAndCounted) {
  with({.to_host = {.rate = 100'000}});  // A burst of 5,000 bytes.
  for (int i = 0; i < 10; ++i) send(1000);
  EXPECT_EQ(datagrams.size(), 5u);
  EXPECT_EQ(drops(DropReason::kOverRate), 5u);
  EXPECT_TRUE(frames.empty());
  pass(10ms);
  send(1000);
  EXPECT_EQ(datagrams.size(), 6u);
  EXPECT_TRUE(all<ReportFlow>().empty());
}

TEST_F(UdpLimit, TheHostsDatagramsHaveTheirOwnLimit) {
  with({.from_host = {.bytes = 1000}});
  send(5000);
  receive(700);
  EXPECT_EQ(frames.size(), 1u);
  receive(400);
  EXPECT_EQ(report().verdict, Verdict::kQuota);
  EXPECT_EQ(report().bytes_to_guest, 700u);
}

TEST_F(UdpLimit, EchoesCountAsWell) {
  with({.to_host = {.bytes = 100}});
  feed(ping_frame(network(), kServer.address, 7, 1, stream(0, 60)));
  EXPECT_EQ(pings.size(), 1u);
  clear();
  feed(ping_frame(network(), kServer.address, 7, 2, stream(0, 60)));
  EXPECT_TRUE(pings.empty());
  EXPECT_TRUE(told_prohibited());
  EXPECT_EQ(report().verdict, Verdict::kQuota);
  EXPECT_EQ(use().flows, 0u);
}

TEST_F(UdpLimit, AChangeOfThePolicyHoldsForFlowsThatLive) {
  with({.to_host = {.bytes = 1000}});
  send(600);
  change({});
  EXPECT_TRUE(all<ReportFlow>().empty());
  send(5000);
  EXPECT_EQ(datagrams.size(), 2u);
  change({.to_host = {.bytes = 500}});
  EXPECT_EQ(report().verdict, Verdict::kQuota);
}

}  // namespace
}  // namespace sluice::flow::test
