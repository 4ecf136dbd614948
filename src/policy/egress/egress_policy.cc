#include "policy/egress/egress_policy.h"

#include <fmt/core.h>

#include <utility>

#include "policy/egress/name_path.h"

namespace sluice::policy {
namespace {

using Subset = PolicyRule::Subset;

const EgressRule& built_in_rule() {
  static const EgressRule rule{.id = "built-in",
                               .text = "@link-local and @metadata",
                               .effect = Effect::kDeny,
                               .source = "built-in"};
  return rule;
}

wire::Prefix whole(const wire::IpAddress& address) {
  return {address, static_cast<std::uint8_t>(address.is_v4() ? 32 : 128)};
}

std::vector<wire::Prefix> prefixes_in(AddressGroup group,
                                      const std::vector<wire::IpAddress>& gateways) {
  switch (group) {
    case AddressGroup::kPublic:
    case AddressGroup::kPrivate:
    case AddressGroup::kLinkLocal:
    case AddressGroup::kMetadata: {
      const std::span<const wire::Prefix> known = prefixes_of(group);
      return {known.begin(), known.end()};
    }
    case AddressGroup::kHost: return {wire::Prefix{}};  // Its prefix does not count.
    case AddressGroup::kGateway:
    case AddressGroup::kLoopback: break;
  }
  std::vector<wire::Prefix> prefixes;
  for (const wire::IpAddress& gateway : gateways) prefixes.push_back(whole(gateway));
  return prefixes;
}

Subset subset_of(AddressGroup group) {
  if (group == AddressGroup::kPublic) return Subset::kPublic;
  return group == AddressGroup::kHost ? Subset::kHost : Subset::kAll;
}

bool is_at_large(const PolicyRule& rule) {
  return rule.effect != Effect::kDeny && rule.origin == Origin::kUser &&
         rule.subset != Subset::kHost && rule.rule.prefix.length == 0;
}

}  // namespace

std::expected<EgressPolicy, std::string> EgressPolicy::compile(EgressDraft draft) {
  if (draft.rules.size() > kRulesMax) {
    return std::unexpected(
        fmt::format("{} rules are too many; expected at most {}", draft.rules.size(), kRulesMax));
  }
  EgressPolicy policy;
  policy.add_names(draft);
  std::vector<PolicyRule> addresses;
  policy.add_addresses(draft, Kind::kDecisions, addresses);
  policy.decided_addresses_ = Policy(std::move(addresses), Effect::kAsk, DefaultDenials::kOff);
  addresses.clear();
  policy.add_addresses(draft, Kind::kRules, addresses);
  policy.unnamed_query_ = {draft.fallback, RuleId{}};
  policy.note_unnamed_query(addresses);
  policy.addresses_ = Policy(std::move(addresses), draft.fallback);
  policy.default_rule_.effect = draft.fallback;
  policy.dns_ = std::move(draft.dns);
  policy.tls_ = draft.tls;
  policy.http_ = draft.http;
  policy.limit_ = draft.limit;
  policy.rules_.reserve(draft.rules.size());
  for (DraftRule& rule : draft.rules) {
    rule.rule.text = to_string(rule.target);
    rule.rule.of_names = rule.target.name() != nullptr;
    policy.leads_any_ |= rule.rule.via.has_value();
    policy.rules_.push_back(std::move(rule.rule));
  }
  return policy;
}

void EgressPolicy::add_names(const EgressDraft& draft) {
  std::vector<NameIndex::Rule> names;
  std::vector<NameIndex::Rule> decided;
  asks_ = draft.fallback == Effect::kAsk;
  for (std::size_t i = 0; i < draft.rules.size(); ++i) {
    const DraftRule& rule = draft.rules[i];
    const NamePattern* const pattern = rule.target.name();
    note_pattern(pattern);
    asks_ |= rule.rule.effect == Effect::kAsk;
    if (pattern == nullptr) continue;
    const RuleId id{static_cast<std::uint32_t>(i)};
    const NameIndex::Rule placed{pattern, scope_of(rule.target, rule.rule.effect),
                                 Ruled{rule.rule.effect, id}};
    denies_names_ |= rule.rule.effect != Effect::kAllow;
    (rule.rule.decision ? decided : names).push_back(placed);
  }
  names_ = NameIndex(names);
  decided_names_ = NameIndex(decided);
}

void EgressPolicy::note_pattern(const NamePattern* pattern) {
  std::uint8_t common = kNoNames;
  if (pattern != nullptr && pattern->kind() != NamePattern::Kind::kAny) {
    common = pattern->kind() == NamePattern::Kind::kExact
                 ? kOneName
                 : static_cast<std::uint8_t>(NamePath(pattern->base()).labels());
  }
  common_labels_.push_back(common);
}

void EgressPolicy::add_addresses(const EgressDraft& draft, Kind kind,
                                 std::vector<PolicyRule>& rules) const {
  for (std::size_t i = 0; i < draft.rules.size(); ++i) {
    if (draft.rules[i].rule.decision != (kind == Kind::kDecisions)) continue;
    const EgressTarget& target = draft.rules[i].target;
    const PortScope scope = scope_of(target, draft.rules[i].rule.effect);
    PolicyRule rule{.rule = {{}, scope.ports, scope.protocol},
                    .effect = draft.rules[i].rule.effect,
                    .id = RuleId{static_cast<std::uint32_t>(i)}};
    if (const auto* prefix = std::get_if<wire::Prefix>(&target.subject)) {
      rule.rule.prefix = *prefix;
      rules.push_back(std::move(rule));
    } else if (const auto* group = std::get_if<AddressGroup>(&target.subject)) {
      rule.subset = subset_of(*group);
      for (const wire::Prefix& each : prefixes_in(*group, draft.gateways)) {
        rule.rule.prefix = each;
        rules.push_back(rule);
      }
    }
  }
}

void EgressPolicy::note_unnamed_query(const std::vector<PolicyRule>& rules) {
  for (const PolicyRule& rule : rules) {
    if (is_at_large(rule) && rule.effect < unnamed_query_.effect) {
      unnamed_query_ = {rule.effect, rule.id};
    }
  }
}

bool EgressPolicy::above_an_allowed_name(const wire::DomainName& name) const {
  return names_.above_allowed(name) ||
         names_.most_permissive_below(name, unnamed_query_).effect != Effect::kDeny;
}

// The common_labels_ of the rule that lets the name be asked for; kNoNames where none does.
std::uint8_t EgressPolicy::asked_by(const wire::DomainName& name) const {
  const Ruled ruled = for_query(name);
  if (ruled.effect == Effect::kDeny || ruled.rule.value >= common_labels_.size()) return kNoNames;
  return common_labels_[ruled.rule.value];
}

bool EgressPolicy::lists_name(const wire::DomainName& name) const {
  return asked_by(name) != kNoNames;
}

std::optional<wire::DomainName> EgressPolicy::budget_domain(const wire::DomainName& name) const {
  const std::uint8_t common = asked_by(name);
  const NamePath path(name);
  if (common == kNoNames || common == kOneName || path.labels() <= common) return std::nullopt;
  wire::DomainName domain;
  for (std::size_t i = path.labels() - common; i < path.labels(); ++i) {
    (void)domain.append(path.label(i));  // As a part of a name it has room.
  }
  return domain;
}

std::optional<Ruled> EgressPolicy::for_address(Protocol protocol,
                                               const wire::Endpoint& target) const {
  const Decision decision = addresses_.decide(protocol, target);
  if (decision.rule == nullptr) return std::nullopt;
  return Ruled{decision.effect, decision.rule->id};
}

std::optional<Ruled> EgressPolicy::decided(Protocol protocol, const wire::Endpoint& target) const {
  const Decision decision = decided_addresses_.decide(protocol, target);
  if (decision.rule == nullptr) return std::nullopt;
  return Ruled{decision.effect, decision.rule->id};
}

const EgressRule& EgressPolicy::rule(RuleId id) const {
  if (id.value < rules_.size()) return rules_[id.value];
  return id.value == RuleId::kBuiltIn ? built_in_rule() : default_rule_;
}

}  // namespace sluice::policy
