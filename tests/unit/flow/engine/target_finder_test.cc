// Where names lead, for flows to addresses that stand for them: through the whole engine.
#include "flow/engine/target_finder.h"

#include "dns/names/synthetic_names.h"
#include "unit/flow/judge/synthetic_fixture.h"

namespace sluice::flow::test {
namespace {

class TargetFinderTest : public SyntheticFixture {};

TEST_P(TargetFinderTest, ANameCannotLeadToAnAddressOfOurs) {
  zone["ok.test"] = {{{"198.18.0.1"}}, {{"fd73:6c75:6963:e000::1"}}};
  with(kDeny, {{kAllow, "ok.test:443", {"0.0.0.0/0", "::/0"}}}, kSynthetic);
  EXPECT_TRUE(dial(stand_in("ok.test"), 443).empty());
  EXPECT_EQ(told(), Verdict::kNotRoutable);
}

TEST_P(TargetFinderTest, PrivateAddressesAreOnlyForRulesThatSaySo) {
  zone["jira.test"] = {{{"10.20.0.7"}, {"169.254.169.254"}}, {{"fd12::20"}, {"fe80::1"}}};
  with(kDeny, {{kAllow, "jira.test:443"}}, kSynthetic);
  EXPECT_TRUE(dial(stand_in("jira.test"), 443).empty());
  EXPECT_EQ(told(), Verdict::kDnsPrivate);
  EXPECT_EQ(drops(DropReason::kDnsPrivate), 1u);

  with(kDeny, {{kAllow, "jira.test:443", {"10.20.0.0/16", "fd12::/64"}}}, kSynthetic);
  const auto targets = dial(stand_in("jira.test"), 443);
  ASSERT_EQ(targets.size(), 1u);
  EXPECT_EQ(targets[0].address, ip(v4() ? "10.20.0.7" : "fd12::20"));
}

TEST_P(TargetFinderTest, AnAliasThatIsDeniedLeadsNowhere) {
  with(kDeny, {{kAllow, "ok.test:443"}, {kDeny, "evil.test"}}, kSynthetic);
  const std::string address = stand_in("ok.test");
  syn_to(address, 443);
  // As resolver_answers(), but by an alias.
  zone.clear();
  EXPECT_TRUE(all<ConnectTcp>().empty());
  resolver_answers();
  EXPECT_EQ(told(), Verdict::kAccepted);
  EXPECT_EQ(summary_.outcome, policy::Outcome::kUnreachable) << "it does not exist";
  EXPECT_FALSE(frames.empty());
}

TEST_P(TargetFinderTest, AddressesAreTriedInTurns) {
  zone["ok.test"] = {{{"203.0.113.1"}, {"203.0.113.2"}}, {{"2001:db8::1"}, {"2001:db8::2"}}};
  with(kDeny, {{kAllow, "ok.test:443"}}, kSynthetic);
  const std::string address = stand_in("ok.test");
  EXPECT_EQ(dial(address, 443), std::vector{real(1, 443)});
  const TcpId id = dialed()->id;
  const wire::IpAddress other = ip(v4() ? "2001:db8::1" : "203.0.113.1");

  clear();
  tcp().on_connect_failed(id, HostError::kNetUnreachable, {now, sink});
  collect();
  EXPECT_EQ(all<CloseTcp>().size(), 1u);
  ASSERT_EQ(all<ConnectTcp>().size(), 1u) << "at once";
  EXPECT_EQ(all<ConnectTcp>()[0].target.address, other);
  EXPECT_TRUE(frames.empty()) << "the guest has heard nothing";

  clear();
  pass(900ms);
  EXPECT_TRUE(all<ConnectTcp>().empty());
  pass(200ms);
  ASSERT_EQ(all<ConnectTcp>().size(), 1u) << "or when it says nothing for long";
  EXPECT_EQ(all<ConnectTcp>()[0].target, real(2, 443));

  clear();
  pass(1100ms);
  clear();
  pass(30s);
  EXPECT_TRUE(all<ConnectTcp>().empty()) << "the last has all its time";
  EXPECT_EQ(dialed()->leads_to(),
            (wire::Endpoint{ip(v4() ? "2001:db8::2" : "203.0.113.2"), {443}}));
  tcp().on_connect_failed(id, HostError::kRefused, {now, sink});
  collect();
  EXPECT_EQ(told(), Verdict::kAccepted);
  EXPECT_EQ(summary_.outcome, policy::Outcome::kRefused);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_TRUE(frames[0].tcp().flags().rst());
}

TEST_P(TargetFinderTest, ATargetIsReportedWithTheFlow) {
  with(kDeny, {{kAllow, "ok.test:22"}}, kSynthetic);
  const std::string address = stand_in("ok.test");
  (void)dial(address, 22);
  tcp().on_connect_failed(dialed()->id, HostError::kRefused, {now, sink});
  collect();
  tcp().on_connect_failed(dialed()->id, HostError::kRefused, {now, sink});
  collect();
  (void)told();
  EXPECT_EQ(summary_.key.remote.address, ip(address));
  ASSERT_TRUE(summary_.target);
  EXPECT_FALSE(dns::SyntheticNames::is_synthetic(summary_.target->address));
}

TEST_P(TargetFinderTest, WhoGivesUpMeanwhileIsForgotten) {
  with(kDeny, {{kAllow, "ok.test:443"}}, kSynthetic);
  const std::string address = stand_in("ok.test");
  syn_to(address, 443);
  feed(GuestSegment{.guest = guest_end_,
                    .remote = remote_end_,
                    .sequence = wire::SeqNum{1000},
                    .flags = wire::kRst});
  EXPECT_EQ(engine().flow_count(), 0u);
  clear();
  resolver_answers();
  EXPECT_TRUE(actions.empty());
  EXPECT_TRUE(frames.empty());
}

TEST_P(TargetFinderTest, ASilentResolverEndsInAnError) {
  with(kDeny, {{kAllow, "ok.test:443"}}, kSynthetic);
  syn_to(stand_in("ok.test"), 443);
  clear();
  pass(15s);
  EXPECT_EQ(told(), Verdict::kAccepted);
  EXPECT_EQ(summary_.outcome, policy::Outcome::kUnreachable);
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_P(TargetFinderTest, FlowsToOneNameShareAQuestion) {
  with(kDeny, {{kAllow, "ok.test:443"}}, kSynthetic);
  const std::string address = stand_in("ok.test");
  for (int i = 0; i < 10; ++i) syn_to(address, 443);
  EXPECT_EQ(asked_.size(), 2u);
  clear();
  resolver_answers();
  EXPECT_EQ(all<ConnectTcp>().size(), 10u);
}

TEST_P(TargetFinderTest, UnnamedNamesAreJudgedByWhereTheyLead) {
  zone["a.test"] = {{{"203.0.113.5"}}, {{"2001:db8::5"}}};
  zone["lan.test"] = {{{"10.0.0.5"}}, {{"fd12::5"}}};
  with(kDeny, {{kAllow, "@public:443"}}, kSynthetic);
  EXPECT_EQ(dial(stand_in("a.test"), 443), std::vector{real(5, 443)});
  EXPECT_TRUE(dial(stand_in("a.test"), 80).empty());
  EXPECT_EQ(told(), Verdict::kAddressUnlisted);
  EXPECT_TRUE(dial(stand_in("lan.test"), 443).empty());
  EXPECT_EQ(told(), Verdict::kAddressUnlisted);
}

INSTANTIATE_TEST_SUITE_P(Families, TargetFinderTest,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& one) {
                           return one.param == wire::IpFamily::kV4 ? "v4" : "v6";
                         });

}  // namespace
}  // namespace sluice::flow::test
