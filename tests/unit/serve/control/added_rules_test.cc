#include "serve/control/added_rules.h"

#include <gtest/gtest.h>

namespace sluice::serve {
namespace {

using policy::DraftRule;
using policy::Effect;

DraftRule rule_of(const char* target, Effect effect, const char* id = "ctl #1") {
  return {policy::parse_egress_target(target).value(), {.id = id, .effect = effect}};
}

policy::EgressPolicy policy_of(std::vector<DraftRule> own, const std::vector<DraftRule>& added) {
  policy::EgressDraft draft{.fallback = Effect::kDeny, .rules = std::move(own)};
  return policy::EgressPolicy::compile(with_added(std::move(draft), added)).value();
}

Effect at(const policy::EgressPolicy& policy, const char* name, std::uint16_t port) {
  const auto ruled = policy.for_name(wire::DomainName::from_text(name).value(),
                                     policy::Protocol::kTcp, wire::Port{port});
  return ruled ? ruled->effect : policy.default_effect();
}

TEST(AddedRules, ADenialWithoutPortsDeniesAllOfTheName) {
  const auto policy = policy_of({rule_of("ok.test:443", Effect::kAllow, "ci.toml:1")},
                                {rule_of("ok.test", Effect::kDeny)});
  EXPECT_EQ(at(policy, "ok.test", 443), Effect::kDeny);
  EXPECT_EQ(at(policy, "ok.test", 22), Effect::kDeny);
}

TEST(AddedRules, ADenialWithPortsIsOfThese) {
  const auto policy = policy_of({rule_of("ok.test:443,80", Effect::kAllow)},
                                {rule_of("ok.test:80", Effect::kDeny)});
  EXPECT_EQ(at(policy, "ok.test", 443), Effect::kAllow);
  EXPECT_EQ(at(policy, "ok.test", 80), Effect::kDeny);
}

TEST(AddedRules, ExceptionsBelowStay) {
  const auto policy = policy_of({rule_of("a.wild.test:443", Effect::kAllow)},
                                {rule_of("*.wild.test", Effect::kDeny)});
  EXPECT_EQ(at(policy, "a.wild.test", 443), Effect::kAllow);
  EXPECT_EQ(at(policy, "b.wild.test", 443), Effect::kDeny);
}

TEST(AddedRules, ALaterOneTakesThePlaceOfAnEarlierOne) {
  const auto policy =
      policy_of({rule_of("ok.test:443", Effect::kAllow)},
                {rule_of("ok.test", Effect::kDeny), rule_of("ok.test:443", Effect::kAllow)});
  EXPECT_EQ(at(policy, "ok.test", 443), Effect::kAllow);
  EXPECT_EQ(at(policy, "ok.test", 80), Effect::kDeny);
  const auto denied =
      policy_of({}, {rule_of("ok.test:443", Effect::kAllow), rule_of("ok.test", Effect::kDeny)});
  EXPECT_EQ(at(denied, "ok.test", 443), Effect::kDeny);
}

TEST(AddedRules, AreNamedWhereTheyDecide) {
  const auto policy = policy_of({rule_of("ok.test:443", Effect::kAllow, "ci.toml:1")},
                                {rule_of("ok.test", Effect::kDeny, "ctl #2")});
  const auto ruled = policy.for_name(wire::DomainName::from_text("ok.test").value(),
                                     policy::Protocol::kTcp, wire::Port{443});
  ASSERT_TRUE(ruled.has_value());
  EXPECT_EQ(policy.rule(ruled->rule).id, "ctl #2");
}

}  // namespace
}  // namespace sluice::serve
