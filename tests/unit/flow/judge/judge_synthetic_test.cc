// Addresses that stand for names, through the whole engine: what is asked upstream and when, where
// flows go, and what neighbours of a name get.
#include <fmt/format.h>

#include <algorithm>

#include "dns/names/synthetic_names.h"
#include "unit/flow/judge/synthetic_fixture.h"
#include "unit/wire/first_bytes/client_hellos.h"
#include "wire/first_bytes/refusal_answers.h"

namespace sluice::flow::test {

using dns::test::make_query;
using wire::test::hello_to;

namespace {

class JudgeSyntheticTest : public SyntheticFixture {};

TEST_P(JudgeSyntheticTest, ANameToAskAboutLeavesNobodyAskedBeforeItIsApproved) {
  with(kDeny, {{kAsk, "ok.test"}});
  const std::string address = stand_in("ok.test");
  EXPECT_TRUE(dns::SyntheticNames::is_synthetic(ip(address))) << address;
  EXPECT_EQ(ttl_, 1u);
  EXPECT_TRUE(asked_.empty());
  EXPECT_FALSE(ask(make_query("ok.test", {.type = wire::DnsType::kHttps})));
  EXPECT_EQ(answers(reply()), 0u);
  EXPECT_FALSE(ask(make_query("ok.test", {.type = wire::DnsType::kTxt})));
  EXPECT_EQ(answers(reply()), 0u);

  syn_to(address, 443);
  const auto asked = all<AskPolicy>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].by.source, NameSource::kSynthetic);
  EXPECT_EQ(engine().name_of(asked[0].by)->to_text(), "ok.test");
  EXPECT_TRUE(asked_.empty()) << "nothing has left";
  EXPECT_TRUE(all<ConnectTcp>().empty());

  engine().on_verdict(asked[0].flow, {.stage = AskStage::kNewFlow, .gate = Gate::kFirstBytes},
                      {now, sink});
  collect();
  settle();
  EXPECT_EQ(asked_, (std::vector<std::string>{"ok.test", "ok.test"})) << "both families";
  resolver_answers();
  const auto connects = all<ConnectTcp>();
  ASSERT_EQ(connects.size(), 1u);
  EXPECT_EQ(connects[0].target, real(1, 443));
}

TEST_P(JudgeSyntheticTest, EveryNameMayHaveOne) {
  with(kDeny, {{kAllow, "ok.test:443"}}, kSynthetic);
  const std::string address = stand_in("ok.test");
  EXPECT_EQ(ttl_, 60u);
  EXPECT_EQ(asked_.size(), 2u) << "where it leads is asked meanwhile";
  resolver_answers();
  syn_to(address, 443);
  const auto connects = all<ConnectTcp>();
  ASSERT_EQ(connects.size(), 1u) << "and known";
  EXPECT_EQ(connects[0].target, real(1, 443));
  EXPECT_EQ(stand_in("OK.test"), address);
  EXPECT_FALSE(ask(make_query("ok.test", {.type = wire::DnsType::kHttps, .edns_size = 1232})));
  EXPECT_EQ(answers(reply()), 0u) << "its hints would lead past";
}

TEST_P(JudgeSyntheticTest, TheNameIsKnownAtTheSynWhateverIsSpoken) {
  // ssh.test and evil.test share an address, and nothing that SSH says tells them apart.
  zone["ssh.test"] = zone["evil.test"] = zone["ok.test"];
  with(kDeny, {{kAllow, "ssh.test:22"}}, kSynthetic);
  const std::string allowed = stand_in("ssh.test");
  EXPECT_EQ(dial(allowed, 22), std::vector{real(1, 22)});
  EXPECT_EQ(stand_in("evil.test"), "");
  EXPECT_TRUE(dial(at(1), 22).empty()) << "its real address is nobody's";
  EXPECT_EQ(told(), Verdict::kAddressUnlisted);
  EXPECT_TRUE(told_prohibited());
}

TEST_P(JudgeSyntheticTest, OtherPortsAndProtocolsAreRefusedAtOnce) {
  with(kDeny, {{kAllow, "ok.test:443"}}, kSynthetic);
  const std::string address = stand_in("ok.test");
  EXPECT_EQ(tcp_to(address, 22), Verdict::kPortUnlisted);
  EXPECT_TRUE(told_prohibited());
  EXPECT_EQ(summary_.by.source, NameSource::kSynthetic);
  EXPECT_EQ(udp_to(address, 9), Verdict::kPortUnlisted);
  EXPECT_EQ(ping_to(address), Verdict::kPortUnlisted);
  EXPECT_TRUE(told_prohibited());
  for (const std::uint16_t port : std::vector<std::uint16_t>{853, 5353, 5355, 137}) {
    EXPECT_EQ(tcp_to(address, port), Verdict::kDeniedByPolicy);
  }
}

TEST_P(JudgeSyntheticTest, WhatWasNeverGivenIsRefused) {
  with(kAllow, {{kDeny, "evil.test"}, {kAllow, "198.18.0.0/15"}});
  for (const std::string address : {v4() ? "198.18.0.1" : "fd73:6c75:6963:e000::1",
                                    v4() ? "198.19.255.255" : "fd73:6c75:6963:e000::ffff"}) {
    EXPECT_EQ(tcp_to(address, 443), Verdict::kAddressUnlisted) << address;
    EXPECT_TRUE(told_prohibited());
    EXPECT_EQ(udp_to(address, 53'000), Verdict::kAddressUnlisted);
    EXPECT_EQ(ping_to(address), Verdict::kAddressUnlisted);
  }
}

TEST_P(JudgeSyntheticTest, TheHelloMustBeForTheName) {
  zone["evil.test"] = zone["b.test"] = zone["ok.test"];
  with(kDeny, {{kAllow, "ok.test:443"}, {kAllow, "b.test:443"}}, kSynthetic);
  const std::string address = stand_in("ok.test");
  EXPECT_EQ(tls(address, "ok.test"), Verdict::kAccepted);
  EXPECT_EQ(tls(address, "evil.test"), Verdict::kServerNameMismatch);
  EXPECT_EQ(tls(address, "b.test"), Verdict::kServerNameMismatch) << "allowed, but not here";
  EXPECT_EQ(claim(address, 443, Kind::kTls).verdict, Verdict::kNoServerName);
  EXPECT_EQ(opaque(address, 443), Verdict::kNotTls);

  (void)dial(address, 443);
  guest_says(hello_to("ok.test"));
  EXPECT_EQ(writes.size(), 1u);
  (void)dial(address, 443);
  guest_says(hello_to("evil.test"));
  EXPECT_TRUE(writes.empty()) << "no byte of it";
  EXPECT_EQ(told(), Verdict::kServerNameMismatch);
}

TEST_P(JudgeSyntheticTest, PointersTellTheName) {
  with(kDeny, {{kAllow, "ok.test:443"}}, kSynthetic);
  const std::string address = stand_in("ok.test");
  const std::string reverse =
      v4() ? "1.0.18.198.in-addr.arpa"
           : "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.e.3.6.9.6.5.7.c.6.3.7.d.f.ip6.arpa";
  EXPECT_FALSE(ask(make_query(reverse, {.type = wire::DnsType::kPtr})));
  const Bytes answered = reply();
  ASSERT_EQ(answers(answered), 1u) << address;
}

TEST_P(JudgeSyntheticTest, AChangeOfThePolicyCutsWhatItDenies) {
  with(kDeny, {{kAllow, "ok.test:22"}}, kSynthetic);
  const std::string address = stand_in("ok.test");
  (void)dial(address, 22);
  clear();
  const auto deny = make_policy(kDeny, {{kAllow, "ok.test:22"}, {kDeny, at(1)}}, kSynthetic);
  engine().set_policy(deny, {now, sink});
  collect();
  EXPECT_EQ(engine().flow_count(), 1u) << "a name may lead where an address is denied";
  const auto other = make_policy(kDeny, {{kAllow, "b.test:22"}}, kSynthetic);
  engine().set_policy(other, {now, sink});
  collect();
  EXPECT_EQ(told(), Verdict::kRevoked);
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_EQ(tcp_to(address, 22), Verdict::kNameUnlisted) << "the address is still that name's";
}

TEST_P(JudgeSyntheticTest, TheyRunOutWithAReason) {
  with(kAllow, {{kDeny, "evil.test"}}, kSynthetic);
  dns::NameBookOf<dns::NoLock> full(SipKey{1, 2});
  for (int i = 0; i < 131'070; ++i) {
    (void)full.give_synthetic(wire::DomainName::from_text(fmt::format("n{}.test", i)).value(),
                              dns::SyntheticUse::kReached);
  }
  const auto policy = make_policy(kDeny, {{kAllow, "*.test:443"}}, kSynthetic);
  restart({.egress = &policy, .shared_names = &full});
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  EXPECT_EQ(stand_in("more.test"), "");
  EXPECT_EQ(drops(DropReason::kDnsBudget), 1u);
  EXPECT_NE(stand_in("n7.test"), "");
}

INSTANTIATE_TEST_SUITE_P(Families, JudgeSyntheticTest,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& family) {
                           return family.param == wire::IpFamily::kV4 ? "V4" : "V6";
                         });

}  // namespace
}  // namespace sluice::flow::test
