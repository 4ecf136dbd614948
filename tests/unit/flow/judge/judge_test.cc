// Flows as a guest begins them under a policy of names, through the whole engine.
#include "flow/judge/judge.h"

#include <fmt/format.h>

#include "unit/flow/judge/names_fixture.h"

namespace sluice::flow::test {
namespace {

class JudgeTest : public NamesFixture {};

TEST_P(JudgeTest, ALiteralAddressIsRefusedInOneRoundTrip) {
  EXPECT_EQ(tcp_to(at(66), 443), Verdict::kAddressUnlisted);
  EXPECT_TRUE(told_prohibited());
  EXPECT_EQ(udp_to(at(66), 9), Verdict::kAddressUnlisted);
  EXPECT_TRUE(told_prohibited());
  EXPECT_EQ(ping_to(at(66)), Verdict::kAddressUnlisted);
  EXPECT_TRUE(told_prohibited());
  EXPECT_EQ(drops(DropReason::kAddressUnlisted), 3u);
}

TEST_P(JudgeTest, AHostsAddressIsRefusedAlsoOneThatComesLater) {
  with(kDeny, {{kAllow, "@public"}});
  EXPECT_EQ(tcp_to(at(7), 80), Verdict::kAccepted);
  engine().set_host_addresses({ip(at(7))});
  EXPECT_EQ(tcp_to(at(7), 80), Verdict::kHostAddress);
  EXPECT_EQ(udp_to(at(7), 80), Verdict::kHostAddress);
  EXPECT_EQ(ping_to(at(7)), Verdict::kHostAddress);
}

TEST_P(JudgeTest, AnAddressCountsOnceItsNameWasAskedFor) {
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAddressUnlisted) << "hard-coded";
  (void)resolve("ok.test", {at(1)});
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
  EXPECT_TRUE(gated()) << "others may share the address";
  NamedBy by = last_flow()->by;
  EXPECT_EQ(engine().name_of(by)->to_text(), "ok.test");
  EXPECT_EQ(by.source, NameSource::kDns);
  EXPECT_EQ(by.rule.value, 0u);
}

TEST_P(JudgeTest, OnlyThePortsOfTheRuleAreOpen) {
  (void)resolve("ok.test", {at(1)});
  for (const std::uint16_t port :
       std::vector<std::uint16_t>{1, 22, 54, 80, 442, 444, 8443, 65'535}) {
    EXPECT_EQ(tcp_to(at(1), port), Verdict::kPortUnlisted) << port;
    EXPECT_TRUE(told_prohibited());
  }
  EXPECT_EQ(summary_.by.source, NameSource::kDns) << "a refusal has the name, too";
  EXPECT_EQ(udp_to(at(1), 9), Verdict::kPortUnlisted);
  EXPECT_EQ(ping_to(at(1)), Verdict::kPortUnlisted);
}

TEST_P(JudgeTest, NamesNeverMeanUdpUnlessItIsWritten) {
  (void)resolve("ok.test", {at(1)});
  EXPECT_EQ(udp_to(at(1), 443), Verdict::kPortUnlisted);
  EXPECT_TRUE(told_closed_port()) << "browsers go on with TCP at once";
  with(kDeny, {{kAllow, "ok.test:443/udp"}, {kAllow, "ok.test/icmp"}});
  (void)resolve("ok.test", {at(1)});
  EXPECT_EQ(udp_to(at(1), 443), Verdict::kAccepted);
  EXPECT_EQ(ping_to(at(1)), Verdict::kAccepted);
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kPortUnlisted);
}

TEST_P(JudgeTest, OtherWaysToResolveAreRefused) {
  (void)resolve("ok.test", {at(1)});
  with(kDeny, {{kAllow, "@public"}});
  for (const std::uint16_t port : std::vector<std::uint16_t>{853, 5353, 5355, 137}) {
    EXPECT_EQ(tcp_to(at(1), port), Verdict::kDeniedByPolicy) << port;
    EXPECT_EQ(udp_to(at(1), port), Verdict::kDeniedByPolicy) << port;
  }
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
}

TEST_P(JudgeTest, DnsOverHttpsIsAFlowLikeAnother) {
  EXPECT_EQ(tcp_to(v4() ? "1.1.1.1" : "2606:4700:4700::1111", 443), Verdict::kAddressUnlisted);
  EXPECT_EQ(refused("dns.google"), wire::DnsRcode::kNxDomain);
}

TEST_P(JudgeTest, AnAddressOfSeveralNamesIsOpenByOneOfThem) {
  with(kDeny, {{kAllow, "ok.test:443"}, {kAllow, "b.test:22"}});
  (void)resolve("ok.test", {at(1)});
  (void)resolve("b.test", {at(1)});
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
  EXPECT_FALSE(last_flow()->by.name.valid()) << "which of them is not known yet";
  EXPECT_EQ(tcp_to(at(1), 22), Verdict::kAccepted);
  EXPECT_EQ(tcp_to(at(1), 25), Verdict::kPortUnlisted);
}

TEST_P(JudgeTest, PinsLastThroughTheirGraceAndNoLonger) {
  (void)resolve("ok.test", {at(1)}, 0);
  pass(5s);
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
  pass(10min);
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
  pass(2h);
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kPinExpired);
  EXPECT_TRUE(told_prohibited());
  (void)resolve("ok.test", {at(1)}, 0);
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
}

TEST_P(JudgeTest, ManyNamesPushOutTheOldestButNotThoseOfLiveFlows) {
  with(kDeny, {{kAllow, "ok.test:443"}, {kAllow, "*"}});
  (void)resolve("ok.test", {at(1)});
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
  NamedBy by = last_flow()->by;
  for (int i = 0; i < 10'100; ++i) {
    const auto open = ask(dns::test::make_query(fmt::format("n{}.test", i), {.type = type()}));
    ASSERT_TRUE(open);
    (void)answer(*open, {.records = {{v4() ? "203.0.113.77" : "2001:db8::77"}}});
  }
  EXPECT_EQ(engine().name_of(by)->to_text(), "ok.test");
  EXPECT_EQ(tls(at(1), "ok.test"), Verdict::kAccepted);
  EXPECT_NE(tls(at(77), "n0.test"), Verdict::kAccepted) << "what gave way is not open";
}

TEST_P(JudgeTest, ClothesDoNotHideAnAddress) {
  if (v4()) GTEST_SKIP() << "IPv6 alone has clothes";
  with(kDeny, {{kAllow, "@public"}});
  for (const char* address : {"64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::7f00:1",
                              "2001:0:a9fe:a9fe::1", "64:ff9b::127.0.0.1"}) {
    EXPECT_NE(tcp_to(address, 80), Verdict::kAccepted) << address;
  }
}

TEST_P(JudgeTest, AnotherSourceAddressIsJudgedTheSame) {
  (void)resolve("ok.test", {at(1)});
  const wire::Endpoint inner{ip(v4() ? "172.17.0.2" : "fd17::2"), {40'000}};
  clear();
  feed(syn({.guest = inner, .remote = {ip(at(66)), {443}}}));
  EXPECT_EQ(told(), Verdict::kAddressUnlisted);
  clear();
  feed(syn({.guest = inner, .remote = {ip(at(1)), {443}}}));
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
}

TEST_P(JudgeTest, UnassignedRangesAreUnlisted) {
  if (!v4()) GTEST_SKIP() << "of IPv4";
  EXPECT_EQ(tcp_to("198.18.3.4", 443), Verdict::kAddressUnlisted);
}

TEST_P(JudgeTest, LimitsAreToldByAResetAsEver) {
  const auto policy = make_policy(kDeny, {{kAllow, "@public"}});
  restart({.egress = &policy, .limits = {.max_flows = 1}});
  EXPECT_EQ(tcp_to(at(1), 80), Verdict::kAccepted);
  EXPECT_EQ(tcp_to(at(1), 81), Verdict::kTooManyFlows);
  EXPECT_TRUE(frames.back().tcp().flags().rst());
}

TEST_P(JudgeTest, WhereNamesDoNotDecideAllIsAsEver) {
  const auto policy = make_policy(kAllow, {{kDeny, "203.0.113.66"}, {kDeny, "2001:db8::66"}});
  restart({.egress = &policy});
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  EXPECT_EQ(tcp_to(at(66), 443), Verdict::kDeniedByPolicy);
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_TRUE(ask("any.name.test"));
  EXPECT_TRUE(ask("word"));
  EXPECT_EQ(udp_to(v4() ? "8.8.8.8" : "2001:4860:4860::8888", 53), Verdict::kAccepted);
  EXPECT_EQ(tcp_to(at(1), 853), Verdict::kAccepted);
  EXPECT_FALSE(gated());
}

TEST_P(JudgeTest, AFlowThatLivesIsJudgedByItsName) {
  (void)resolve("ok.test", {at(1)});
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
  NamedBy by = last_flow()->by;
  const wire::Endpoint remote{ip(at(1)), {443}};
  const auto still = [&]() {
    return engine().judge().accepts_still(policy::Protocol::kTcp, remote, by, now);
  };
  EXPECT_TRUE(still());
  pass(48h);
  EXPECT_TRUE(still()) << "a flow outlives its pin";
  change(kDeny, {{kAllow, "other.test"}});
  EXPECT_FALSE(still());
  change(kDeny, {{kAllow, "ok.test"}});
  EXPECT_TRUE(still());
  change(kDeny, {{kAllow, "@public"}, {kDeny, "ok.test"}});
  EXPECT_FALSE(still());
  change(kDeny, {{kAllow, "@public"}});
  EXPECT_TRUE(still());
}

// There is a limit to errors, but none to refusals: a guest that hears nothing tries again.
TEST_P(JudgeTest, BeyondTheRateOfErrorsARefusalIsAReset) {
  int errors = 0;
  int resets = 0;
  for (int i = 0; i < 300; ++i) {
    (void)tcp_to(at(7), 443);
    ASSERT_EQ(frames.size(), 1u);
    const auto packet = frames.back().packet();
    if (packet.protocol == wire::IpProtocol::kTcp) {
      ++resets;
    } else {
      ++errors;
    }
  }
  EXPECT_EQ(errors, 100);
  EXPECT_EQ(resets, 200);
}

INSTANTIATE_TEST_SUITE_P(Families, JudgeTest,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& one) {
                           return one.param == wire::IpFamily::kV4 ? "v4" : "v6";
                         });

}  // namespace
}  // namespace sluice::flow::test
