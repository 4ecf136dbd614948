// What is told of questions and first bytes, and how a rule on names finds what began before there
// was any.
#include "unit/flow/judge/names_fixture.h"

namespace sluice::flow::test {
namespace {

class LiveNames : public NamesFixture {};

TEST_P(LiveNames, TheFirstRuleOnNamesFindsWhatLives) {
  const auto open = make_policy(kAllow, {});
  restart({.egress = &open});
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  (void)resolve("evil.test", {at(2)});
  EXPECT_EQ(tcp_to(at(2), 22), Verdict::kAccepted);
  const FlowKey denied = last_flow()->key;
  EXPECT_EQ(tcp_to(at(3), 22), Verdict::kAccepted);
  const auto stricter = make_policy(kAllow, {{kDeny, "evil.test"}});
  clear();
  engine().set_policy(stricter, {now, sink});
  collect();
  EXPECT_EQ(tcp().find(denied), nullptr);
  EXPECT_NE(last_flow(), nullptr) << "nobody spoke of this one";
  const auto reports = all<ReportFlow>();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].summary.verdict, Verdict::kRevoked);
  EXPECT_EQ(reports[0].summary.by.rule.value, 0u) << "the rule is the new policy's";
  EXPECT_EQ(tcp_to(at(2), 22), Verdict::kNameDenied) << "the guest may know the address yet";
  restart({});
}

TEST_P(LiveNames, WhatWasLearntBeforeAllowsNothing) {
  const auto open = make_policy(kAllow, {});
  restart({.egress = &open});
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  (void)resolve("ok.test", {at(1)});
  const auto stricter = make_policy(kDeny, {{kAllow, "ok.test:22"}});
  engine().set_policy(stricter, {now, sink});
  collect();
  EXPECT_EQ(tcp_to(at(1), 22), Verdict::kPinExpired) << "an answer of that time was not checked";
  EXPECT_FALSE(ask("ok.test").has_value()) << "what is cached is checked when it is given out";
  EXPECT_EQ(tcp_to(at(1), 22), Verdict::kAccepted);
  restart({});
}

TEST_P(LiveNames, AnswersAreSeenByWhoWantsThem) {
  (void)resolve("ok.test", {at(1)});
  EXPECT_TRUE(engine().sight().empty()) << "nobody listens";
  engine().tell_sight(true);
  (void)resolve("a.wild.test", {at(1), at(2)});
  EXPECT_FALSE(ask("a.wild.test")) << "it is in the cache";
  const auto& seen = engine().sight().queries;
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].question.name.to_text(), "a.wild.test");
  EXPECT_EQ(seen[0].source, dns::AnswerSource::kResolver);
  EXPECT_EQ(seen[0].addresses, 2u);
  EXPECT_EQ(seen[1].source, dns::AnswerSource::kCache);
  EXPECT_FALSE(ask("evil.test"));
  EXPECT_EQ(engine().sight().queries.size(), 2u) << "a refusal is told by the judge";
}

TEST_P(LiveNames, WhatIsSeenIsBounded) {
  engine().tell_sight(true);
  (void)resolve("a.wild.test", {at(1)});
  for (std::size_t i = 0; i < Sight::kMax + 10; ++i) (void)ask("a.wild.test");
  EXPECT_EQ(engine().sight().queries.size(), Sight::kMax);
  EXPECT_EQ(engine().sight().queries_left_out, 11u);
}

INSTANTIATE_TEST_SUITE_P(Families, LiveNames,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6));

}  // namespace
}  // namespace sluice::flow::test
