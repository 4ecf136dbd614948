#include "app/policy/policy_question.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "config/egress/target_text.h"
#include "policy/reach.h"

namespace sluice::app {
namespace {

using policy::Effect;
using policy::EgressPolicy;
using policy::EgressTarget;
using policy::NamePattern;
using policy::Protocol;
using policy::Verdict;
using Decision = PolicyAnswer::Decision;

std::string_view word_of(Decision decision) {
  switch (decision) {
    case Decision::kAllow: return "allow";
    case Decision::kDeny: return "deny";
    case Decision::kByAddress: return "by-address";
  }
  unreachable("decision outside its enum");
}

PolicyAnswer of_effect(Effect effect, policy::RuleId rule, Verdict refusal) {
  if (effect != Effect::kDeny) return {Decision::kAllow, "", rule};
  return {Decision::kDeny, std::string(policy::reason_id(refusal)), rule};
}

PolicyAnswer ask_name(const EgressPolicy& policy, const wire::DomainName& name, Protocol protocol,
                      wire::Port port) {
  if (const auto ruled = policy.for_name(name, protocol, port)) {
    return of_effect(ruled->effect, ruled->rule, Verdict::kNameDenied);
  }
  if (policy.any_rule_for_name(name)) {
    return of_effect(policy.default_effect(), policy::RuleId{}, Verdict::kPortUnlisted);
  }
  const policy::Ruled query = policy.for_query(name);
  if (query.effect != Effect::kDeny && query.rule != policy::RuleId{}) {
    return {Decision::kByAddress, "", query.rule};
  }
  return of_effect(policy.default_effect(), policy::RuleId{}, Verdict::kNameUnlisted);
}

PolicyAnswer ask_address(const EgressPolicy& policy, Protocol protocol,
                         const wire::Endpoint& target) {
  const policy::Reach reach(policy.addresses());
  const policy::Reached reached = reach.look(protocol, target);
  const policy::RuleId rule = reached.rule == nullptr ? policy::RuleId{} : reached.rule->id;
  const bool accepted = reached.verdict == Verdict::kAccepted;
  return {accepted ? Decision::kAllow : Decision::kDeny,
          accepted ? "" : std::string(policy::reason_id(reached.verdict)), rule};
}

std::expected<wire::Port, Mistake> port_of(const EgressTarget& target, Protocol protocol,
                                           std::string_view text) {
  const bool one = target.ports.size() == 1 && target.ports[0].first == target.ports[0].last;
  if (protocol == Protocol::kIcmp) {
    if (target.ports_written) return fail("'{}' has a port, and ICMP has none", text);
    return wire::Port{};
  }
  if (!one) return fail("'{}' has no port; expected one as pypi.org:443", text);
  return wire::Port{target.ports[0].first};
}

}  // namespace

std::expected<PolicyAnswer, Mistake> ask_policy(const EgressPolicy& policy,
                                                std::string_view protocol,
                                                std::string_view target) {
  const auto known = policy::parse_protocol(protocol);
  if (!known) return fail("'{}' is no protocol; expected tcp, udp or icmp", protocol);
  // As a denial, of which nothing is too wide.
  const auto read = config::read_target(target, Effect::kDeny);
  if (!read) return fail("'{}' is not a target; expected {}", target, read.error().expected);
  const auto port = port_of(read->target, *known, target);
  if (!port) return std::unexpected(port.error());
  if (const NamePattern* pattern = read->target.name()) {
    if (pattern->kind() != NamePattern::Kind::kExact) {
      return fail("'{}' is a pattern; expected one name", target);
    }
    return ask_name(policy, pattern->base(), *known, *port);
  }
  const auto* const prefix = std::get_if<wire::Prefix>(&read->target.subject);
  if (prefix == nullptr || prefix->length != (prefix->address.is_v4() ? 32 : 128)) {
    return fail("'{}' is more than one address; expected one", target);
  }
  return ask_address(policy, *known, {prefix->address, *port});
}

std::string answer_text(const EgressPolicy& policy, const PolicyAnswer& answer) {
  const policy::EgressRule& rule = policy.rule(answer.rule);
  const bool by_rule = answer.rule != policy::RuleId{};
  const std::string who =
      by_rule ? fmt::format("{} {} ({})", to_string(rule.effect), rule.text, rule.id)
              : fmt::format("no rule speaks of it, and the default is {}",
                            to_string(policy.default_effect()));
  std::string text = fmt::format("{}: {}", word_of(answer.decision), who);
  if (answer.decision == Decision::kByAddress) {
    text = fmt::format("allow if its address is one of {}", who);
  }
  if (!answer.reason.empty()) text += fmt::format("; reason {}", answer.reason);
  if (!rule.note.empty()) text += fmt::format("\nnote: {}", rule.note);
  return text + "\n";
}

std::string answer_json(const EgressPolicy& policy, const PolicyAnswer& answer) {
  const policy::EgressRule& rule = policy.rule(answer.rule);
  const bool by_rule = answer.rule != policy::RuleId{};
  nlohmann::ordered_json all{{"decision", word_of(answer.decision)},
                             {"rule", rule.id},
                             {"target", nullptr},
                             {"reason", nullptr}};
  if (by_rule) all["target"] = rule.text;
  if (!answer.reason.empty()) all["reason"] = answer.reason;
  if (!rule.note.empty()) all["note"] = rule.note;
  return all.dump(2) + "\n";
}

}  // namespace sluice::app
