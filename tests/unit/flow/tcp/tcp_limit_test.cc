// Limits on what TCP flows carry, with a test in the place of the driver.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "unit/flow/engine/engine_fixture.h"
#include "unit/flow/judge/names_fixture.h"

namespace sluice::flow::test {
namespace {

using policy::EgressPolicy;
using policy::TrafficLimit;
using policy::Verdict;

class TcpLimit : public TcpFixture {
 protected:
  // Of all servers but port 22, under the rule "web"; and of the run.
  void with(const TrafficLimit& limit, const TrafficLimit& run = {}) {
    policy_ = make(limit, run);
    restart({.egress = policy_.get()});
  }
  void change(const TrafficLimit& limit, const TrafficLimit& run = {}) {
    auto next = make(limit, run);
    engine().set_policy(*next, {now, sink});
    policy_ = std::move(next);
    collect();
  }
  static std::unique_ptr<EgressPolicy> make(const TrafficLimit& limit, const TrafficLimit& run) {
    policy::EgressDraft draft{.limit = run};
    draft.rules.push_back(
        {policy::parse_egress_target("198.51.100.0/24:80").value(), {.id = "web", .limit = limit}});
    return std::make_unique<EgressPolicy>(EgressPolicy::compile(std::move(draft)).value());
  }
  Connection open(std::uint16_t port = 40'000, std::uint16_t remote = 80) {
    return establish({.guest = {kGuest.address, {port}}, .remote = {kServer.address, {remote}}});
  }
  [[nodiscard]] const policy::MeterUse& use() {
    return engine().meters().of(policy::RuleId{0})->use();
  }
  // What the flow asks to look at when its host has bytes.
  std::uint32_t asks(const Connection& c) {
    actions.clear();
    tcp().on_readable(c.id, false, {now, sink});
    collect();
    const auto peeks = all<PeekTcp>();
    return peeks.empty() ? 0 : peeks[0].max;
  }
  Verdict refused() {
    const auto reports = all<ReportFlow>();
    EXPECT_EQ(reports.size(), 1u);
    return reports.empty() ? Verdict::kAccepted : reports[0].summary.verdict;
  }

 private:
  std::unique_ptr<EgressPolicy> policy_;
};

TEST_F(TcpLimit, WithoutOneAFlowHasNoMeter) {
  restart({});
  const Connection c = open();
  EXPECT_FALSE(flow(c)->metered.any());
  EXPECT_EQ(tcp().meter_of(c.id), nullptr);
}

TEST_F(TcpLimit, WhatIsNotOfTheRuleIsNotMeasured) {
  with({.to_host = {.bytes = 10}});
  Connection c = open(40'000, 22);
  EXPECT_FALSE(flow(c)->metered.any());
  send(c, 1000);
  EXPECT_EQ(use().to_host.used, 0u);
}

TEST_F(TcpLimit, AWriteNamesTheLaneThatItIsToBeClaimedOf) {
  with({.to_host = {.bytes = 1000}});
  Connection c = open();
  feed(data(c, 0, 100));
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].action.lane, &tcp().meter_of(c.id)->to_host());
}

TEST_F(TcpLimit, OnceNothingIsLeftForTheHostBothSidesAreReset) {
  with({.to_host = {.bytes = 1000}});
  Connection c = open();
  send(c, 900);
  // The driver could hand on no more than this, and 500 bytes wait.
  feed(data(c, c.sent, 600));
  tcp().on_written(c.id, {600, 500, 0}, {now, sink});
  collect();
  clear();
  tcp().on_used_up(c.id, {now, sink});
  collect();
  const auto closed = take<CloseTcp>();
  EXPECT_TRUE(closed.reset);
  EXPECT_FALSE(closed.at_once) << "what was let through is delivered";
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_EQ(drops(DropReason::kQuota), 1u);
  EXPECT_EQ(use().ended, 1u);
  EXPECT_EQ(use().flows, 0u);
}

TEST_F(TcpLimit, TheReportHasWhatTheHostGot) {
  with({.to_host = {.bytes = 1000}});
  Connection c = open();
  send(c, 900);
  feed(data(c, c.sent, 600));
  tcp().on_written(c.id, {600, 500, 0}, {now, sink});
  collect();
  clear();
  tcp().on_used_up(c.id, {now, sink});
  collect();
  const auto summary = take<ReportFlow>().summary;
  EXPECT_EQ(summary.verdict, Verdict::kQuota);
  EXPECT_EQ(summary.outcome, policy::Outcome::kCutOff);
  EXPECT_EQ(summary.bytes_to_host, 1000u);
}

TEST_F(TcpLimit, WhatTheHostSendsIsLookedAtAsFarAsTheQuotaGoes) {
  with({.from_host = {.bytes = 1000}});
  Connection c = open();
  EXPECT_EQ(asks(c), 1000u);
  const Bytes first = stream(0, 600);
  tcp().on_peeked(c.id, {take<PeekTcp>().sequence, PeekStatus::kData, first, false}, {now, sink});
  collect();
  c.host_next += 600;
  EXPECT_EQ(use().from_host.used, 600u);
  EXPECT_EQ(use().from_host.claimed, 600u) << "what did not come is given back";
  feed(ack(c));
  EXPECT_EQ(asks(c), 400u);
  const Bytes rest = stream(600, 400);
  tcp().on_peeked(c.id, {take<PeekTcp>().sequence, PeekStatus::kData, rest, true}, {now, sink});
  collect();
  c.host_next += 400;
  EXPECT_NE(flow(c), nullptr) << "that was just enough";
  clear();
  feed(ack(c));
  engine().run_deferred({now, sink});
  collect();
  EXPECT_TRUE(all<PeekTcp>().empty());
  pass(5ms);
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_EQ(refused(), Verdict::kQuota);
}

TEST_F(TcpLimit, AFlowThatEndsWhileItLooksGivesBackWhatItClaimed) {
  with({.from_host = {.bytes = 1000}});
  Connection c = open();
  EXPECT_EQ(asks(c), 1000u);
  EXPECT_EQ(use().from_host.claimed, 1000u);
  feed(rst(c));
  EXPECT_EQ(use().from_host.claimed, 0u);
  EXPECT_EQ(use().flows, 0u);
}

TEST_F(TcpLimit, ARateDelaysWhatTheHostSendsAndLosesNothing) {
  constexpr std::uint64_t kRate = 1'000'000;
  with({.from_host = {.rate = kRate}});
  Connection c = establish({.room = 1 << 20});
  std::uint64_t got = 0;
  const Instant begin = now;
  tcp().on_readable(c.id, false, {now, sink});
  while (now < begin + 5s) {
    collect();
    const auto peeks = all<PeekTcp>();
    actions.clear();
    for (const PeekTcp& peek : peeks) {
      const Bytes bytes = stream(got, peek.max);
      got += peek.max;
      tcp().on_peeked(c.id, {peek.sequence, PeekStatus::kData, bytes, true}, {now, sink});
      collect_frames();
      c.host_next = peek.sequence + peek.max;
      feed(ack(c));
    }
    engine().run_deferred({now, sink});
    collect();
    pass(1ms);
  }
  EXPECT_NEAR(static_cast<double>(got), 5.0 * kRate, 0.05 * 5.0 * kRate);
  EXPECT_NE(flow(c), nullptr);
}

TEST_F(TcpLimit, WhatARateHoldsBackIsNotPromisedOfTheSpill) {
  with({.to_host = {.rate = 1'000'000}});
  engine().tcp().set_spill_free(64 << 20);
  Connection c = establish({.room = 64 * 1024});
  for (int i = 0; i < 4; ++i) send(c, 60'000);
  EXPECT_LE(flow(c) == nullptr ? 0 : std::get<Relaying>(flow(c)->state).rx.open(), 66'000u);
}

TEST_F(TcpLimit, AFlowMoreThanMayBeIsReset) {
  with({.flows = 2});
  const Connection first = open(40'000);
  (void)open(40'001);
  clear();
  feed(syn({.guest = {kGuest.address, {40'002}}}));
  EXPECT_TRUE(all<ConnectTcp>().empty());
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(refused(), Verdict::kQuota);
  feed(rst(first));
  (void)open(40'003);
  EXPECT_EQ(use().flows, 2u);
  EXPECT_EQ(use().refused, 1u);
}

TEST_F(TcpLimit, AUsedUpQuotaRefusesNewFlows) {
  with({.to_host = {.bytes = 100}});
  const Connection c = open();
  policy::Lane& lane = tcp().meter_of(c.id)->to_host();
  lane.settle(lane.claim(100, now), 100, now);
  clear();
  feed(syn({.guest = {kGuest.address, {40'001}}}));
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(refused(), Verdict::kQuota);
}

TEST_F(TcpLimit, TheRunsLimitIsOfFlowsOfNoRuleToo) {
  with({}, {.to_host = {.bytes = 100}});
  const Connection c = open(40'000, 22);
  policy::Lane& lane = tcp().meter_of(c.id)->to_host();
  lane.settle(lane.claim(100, now), 100, now);
  clear();
  feed(syn({}));
  EXPECT_EQ(refused(), Verdict::kQuota);
}

TEST_F(TcpLimit, AChangeOfThePolicyIsTheFlowsNewLimit) {
  with({.to_host = {.bytes = 1000}});
  const Connection c = open();
  policy::Lane& before = tcp().meter_of(c.id)->to_host();
  before.settle(before.claim(600, now), 600, now);
  change({.to_host = {.bytes = 5000}});
  EXPECT_EQ(tcp().meter_of(c.id)->to_host().claim(9999, now), 4400u);
  tcp().meter_of(c.id)->to_host().settle(4400, 0, now);
  EXPECT_EQ(use().flows, 1u);
  clear();
  change({.to_host = {.bytes = 500}});
  EXPECT_EQ(flow(c), nullptr) << "it has had that";
  EXPECT_EQ(refused(), Verdict::kQuota);
  EXPECT_EQ(use().flows, 0u);
  change({});
  feed(syn({}));
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
}

TEST_F(TcpLimit, AFlowThatNoLimitSpeaksOfAnyMoreIsFree) {
  with({.from_host = {.rate = 1000}});
  const Connection c = open();
  EXPECT_EQ(asks(c), 4096u);
  const Bytes bytes = stream(0, 4096);
  tcp().on_peeked(c.id, {take<PeekTcp>().sequence, PeekStatus::kData, bytes, true}, {now, sink});
  collect();
  engine().run_deferred({now, sink});
  collect();
  EXPECT_TRUE(all<PeekTcp>().empty());
  change({});
  EXPECT_FALSE(flow(c)->metered.any());
  actions.clear();
  engine().run_deferred({now, sink});
  collect();
  EXPECT_EQ(all<PeekTcp>().size(), 1u) << "what waited for the rate goes on";
}

// Where names decide.
class NamedLimit : public NamesFixture {
 protected:
  void limit(const TrafficLimit& limit) {
    policy::EgressDraft draft{.fallback = kDeny};
    for (const char* target : {"plain.test:80", "ok.test:443"}) {
      draft.rules.push_back({policy::parse_egress_target(target).value(),
                             {.id = "few", .note = "Not so much.", .limit = limit}});
    }
    limited_ = std::make_unique<EgressPolicy>(EgressPolicy::compile(std::move(draft)).value());
    restart({.egress = limited_.get()});
    engine().set_resolvers({endpoint("192.0.2.53:53")});
    (void)resolve("plain.test", {at(1)});
    (void)resolve("ok.test", {at(2)});
  }
  Connection open(const std::string& address, std::uint16_t port) {
    return establish({.guest = {guest_address(), {port_++}}, .remote = {ip(address), {port}}});
  }
  void say(const Connection& c, std::string_view text) {
    clear();
    GuestSegment segment = ack(c);
    segment.payload = {text.begin(), text.end()};
    feed(segment);
  }
  [[nodiscard]] std::string told_text() {
    std::string all;
    for (const Received& frame : frames) {
      const ByteView payload = frame.tcp().payload();
      all.append(payload.begin(), payload.end());
    }
    return all;
  }

 private:
  std::unique_ptr<EgressPolicy> limited_;
  std::uint16_t port_ = 30'000;
};

INSTANTIATE_TEST_SUITE_P(Families, NamedLimit,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& family) {
                           return family.param == wire::IpFamily::kV4 ? "V4" : "V6";
                         });

TEST_P(NamedLimit, PlainHttpIsToldByAPage) {
  limit({.flows = 1});
  const Connection first = open(at(1), 80);
  say(first, "GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n");
  EXPECT_EQ(writes.size(), 1u);
  const Connection second = open(at(1), 80);
  EXPECT_EQ(engine().meters().of(policy::RuleId{0})->use().flows, 1u);
  say(second, "GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n");
  EXPECT_TRUE(writes.empty());
  const std::string page = told_text();
  EXPECT_TRUE(page.starts_with("HTTP/1.1 429 Too Many Requests\r\n")) << page;
  EXPECT_NE(page.find("why:  quota\n"), std::string::npos) << page;
  EXPECT_NE(page.find("rule: few\n"), std::string::npos) << page;
  EXPECT_NE(page.find("note: Not so much.\n"), std::string::npos) << page;
  EXPECT_EQ(told(), Verdict::kQuota);
  EXPECT_EQ(engine().meters().of(policy::RuleId{0})->use().flows, 1u);
}

TEST_P(NamedLimit, WhatIsSpokenElsewhereIsResetAtTheSyn) {
  limit({.flows = 1});
  (void)open(at(2), 443);
  EXPECT_EQ(tcp_to(at(2), 443), Verdict::kQuota);
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_EQ(udp_to(at(2), 443), Verdict::kPortUnlisted) << "what policy refuses, it refuses first";
}

TEST_P(NamedLimit, AFlowThatFoundNoPlaceTakesOneThatIsFreeByThen) {
  limit({.flows = 1});
  const Connection first = open(at(1), 80);
  const Connection second = open(at(1), 80);
  feed(rst(first));
  say(second, "GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n");
  EXPECT_EQ(writes.size(), 1u);
  EXPECT_EQ(engine().meters().of(policy::RuleId{0})->use().flows, 1u);
}

TEST_P(NamedLimit, OneThatFoundNoPlaceCarriesNothingFromItsHost) {
  limit({.flows = 1});
  (void)open(at(1), 80);
  const Connection second = open(at(1), 80);
  clear();
  tcp().on_readable(second.id, false, {now, sink});
  collect();
  EXPECT_TRUE(all<PeekTcp>().empty());
}

}  // namespace
}  // namespace sluice::flow::test
