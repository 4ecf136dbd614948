#include "driver/rules_in_force.h"

#include <gtest/gtest.h>

namespace sluice::driver {
namespace {

using policy::Effect;
using policy::EgressPolicy;

EgressPolicy policy_of(const char* target, const char* id, Effect fallback = Effect::kDeny) {
  policy::EgressDraft draft{.fallback = fallback};
  draft.rules.push_back(
      {policy::parse_egress_target(target).value(),
       {.id = id, .effect = fallback == Effect::kDeny ? Effect::kAllow : Effect::kDeny}});
  return EgressPolicy::compile(std::move(draft)).value();
}

flow::FlowSummary flow_by(std::uint32_t rule, std::uint64_t generation) {
  flow::FlowSummary flow;
  flow.key.remote = {wire::parse_ip("192.0.2.7").value(), wire::Port{443}};
  flow.key.protocol = wire::IpProtocol::kTcp;
  flow.by.rule = {rule};
  flow.generation = generation;
  return flow;
}

TEST(RulesInForce, AReportThatIsLateHasTheRuleOfItsOwnPolicy) {
  const EgressPolicy first = policy_of("a.test", "one");
  const EgressPolicy second = policy_of("b.test", "two");
  const EgressPolicy third = policy_of("c.test", "three");
  RulesInForce rules(&first);
  EXPECT_EQ(rules.rule_of(flow_by(0, 1)), "one");
  rules.change(second, 2);
  EXPECT_EQ(rules.rule_of(flow_by(0, 2)), "two");
  EXPECT_EQ(rules.rule_of(flow_by(0, 1)), "one");
  rules.change(third, 3);
  EXPECT_EQ(rules.rule_of(flow_by(0, 1)), "") << "nobody knows any more";
  EXPECT_EQ(rules.rule_for_query(wire::DomainName::from_text("c.test").value(), 3), "three");
  EXPECT_EQ(rules.rule_for_query(wire::DomainName::from_text("d.test").value(), 3), "default");
}

TEST(RulesInForce, WhereNoRuleDecidedThereIsNone) {
  const EgressPolicy policy = policy_of("a.test", "one");
  const RulesInForce rules(&policy);
  flow::FlowSummary flow = flow_by(0, 1);
  flow.verdict = policy::Verdict::kTooManyFlows;
  EXPECT_EQ(rules.rule_of(flow), "");
  flow = flow_by(0, 1);
  flow.inbound = true;
  EXPECT_EQ(rules.rule_of(flow), "");
  EXPECT_EQ(RulesInForce(nullptr).rule_of(flow_by(0, 1)), "");
}

TEST(RulesInForce, RulesOnAddressesAreLookedUp) {
  const EgressPolicy policy = policy_of("192.0.2.0/24", "--deny #1", Effect::kAllow);
  const RulesInForce rules(&policy);
  flow::FlowSummary flow = flow_by(policy::RuleId::kDefault, 1);
  flow.verdict = policy::Verdict::kDeniedByPolicy;
  EXPECT_EQ(rules.rule_of(flow), "--deny #1");
  flow.key.remote.address = wire::parse_ip("198.51.100.1").value();
  flow.verdict = policy::Verdict::kAccepted;
  EXPECT_EQ(rules.rule_of(flow), "default");
}

}  // namespace
}  // namespace sluice::driver
