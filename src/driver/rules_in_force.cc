#include "driver/rules_in_force.h"

namespace sluice::driver {
namespace {

using policy::Verdict;

// Of the others the rules were not asked, or not in the end.
bool is_by_rule(Verdict verdict) {
  const std::string_view by = policy::decided_by(verdict);
  if (verdict == Verdict::kNotRoutable) return false;
  return by == "policy" || by == "first-bytes" || by == "ask" || verdict == Verdict::kQuota;
}

policy::Protocol protocol_of(wire::IpProtocol protocol) {
  if (protocol == wire::IpProtocol::kTcp) return policy::Protocol::kTcp;
  if (protocol == wire::IpProtocol::kUdp) return policy::Protocol::kUdp;
  return policy::Protocol::kIcmp;
}

}  // namespace

const policy::EgressPolicy* RulesInForce::of(std::uint64_t generation) const {
  if (generation == current_.generation) return current_.policy;
  return generation == before_.generation ? before_.policy : nullptr;
}

std::string_view RulesInForce::rule_of(const flow::FlowSummary& flow) const {
  const policy::EgressPolicy* const policy = of(flow.generation);
  if (policy == nullptr || flow.inbound || !is_by_rule(flow.verdict)) return {};
  if (policy->names_decide()) return policy->rule(flow.by.rule).id;
  // Where names do not decide, nobody keeps which rule on addresses did.
  const auto ruled = policy->for_address(protocol_of(flow.key.protocol), flow.key.remote);
  return policy->rule(ruled ? ruled->rule : policy::RuleId{}).id;
}

std::string_view RulesInForce::rule_of(policy::RuleId rule, std::uint64_t generation) const {
  const policy::EgressPolicy* const policy = of(generation);
  return policy == nullptr ? std::string_view() : policy->rule(rule).id;
}

std::string_view RulesInForce::rule_for_query(const wire::DomainName& name,
                                              std::uint64_t generation) const {
  const policy::EgressPolicy* const policy = of(generation);
  if (policy == nullptr || !policy->names_decide()) return {};
  return policy->rule(policy->for_query(name).rule).id;
}

}  // namespace sluice::driver
