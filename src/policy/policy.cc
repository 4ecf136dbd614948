#include "policy/policy.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "policy/address_group.h"

namespace sluice::policy {
namespace {

using Subset = PolicyRule::Subset;

constexpr std::uint8_t full_length(const wire::IpAddress& address) {
  return address.is_v4() ? 32 : 128;
}

std::vector<PolicyRule> joined(std::span<const Rule> deny, std::span<const Rule> allow) {
  std::vector<PolicyRule> rules;
  rules.reserve(deny.size() + allow.size() + default_denials().size());
  const auto add = [&](const Rule& rule, Effect effect) {
    const auto place = static_cast<std::uint32_t>(rules.size());
    rules.push_back({.rule = rule, .effect = effect, .id = RuleId{place}});
  };
  for (const Rule& rule : deny) add(rule, Effect::kDeny);
  for (const Rule& rule : allow) add(rule, Effect::kAllow);
  return rules;
}

}  // namespace

Policy::Policy(std::span<const Rule> deny, std::span<const Rule> allow, DefaultDenials defaults)
    : Policy(joined(deny, allow), Effect::kAllow, defaults) {}

Policy::Policy(std::vector<PolicyRule> rules, Effect fallback, DefaultDenials defaults)
    : rules_(std::move(rules)), fallback_(fallback) {
  if (defaults == DefaultDenials::kOn) {
    for (const wire::Prefix& prefix : default_denials()) {
      rules_.push_back({.rule = {.prefix = prefix},
                        .effect = Effect::kDeny,
                        .origin = Origin::kDefault,
                        .id = RuleId{RuleId::kBuiltIn}});
    }
  }

  std::vector<std::uint32_t> ranked(rules_.size());
  std::iota(ranked.begin(), ranked.end(), 0U);
  const auto rank = [&](std::uint32_t i) {
    const PolicyRule& r = rules_[i];
    return std::tuple(r.subset == Subset::kHost, r.rule.prefix.address, r.rule.prefix.length,
                      r.subset != Subset::kPublic, r.rule.port_count(),
                      !r.rule.protocol.has_value(), r.origin, -static_cast<int>(r.effect), i);
  };
  std::sort(ranked.begin(), ranked.end(),
            [&](std::uint32_t a, std::uint32_t b) { return rank(a) < rank(b); });

  const auto is_host = [&](std::uint32_t i) { return rules_[i].subset == Subset::kHost; };
  const auto host = std::ranges::partition_point(ranked, [&](auto i) { return !is_host(i); });
  if (host != ranked.end()) host_site_ = add_ports(std::span(host, ranked.end()));
  const std::span<const std::uint32_t> placed(ranked.begin(), host);

  std::vector<wire::Prefix> prefixes;
  for (std::size_t begin = 0; begin < placed.size();) {
    const wire::Prefix& prefix = rules_[placed[begin]].rule.prefix;
    std::size_t end = begin + 1;
    while (end < placed.size() && rules_[placed[end]].rule.prefix == prefix) ++end;
    prefixes.push_back(prefix);
    add_site(placed.subspan(begin, end - begin));
    begin = end;
  }
  index_ = PrefixIndex(prefixes);
}

// `ranked` has all rules of one prefix, those of @public first.
void Policy::add_site(std::span<const std::uint32_t> ranked) {
  const auto others = std::ranges::find_if(
      ranked, [&](std::uint32_t i) { return rules_[i].subset != Subset::kPublic; });
  const std::uint32_t of_others = add_ports(std::span(others, ranked.end()));
  const bool alike = others == ranked.begin();
  sites_.push_back({alike ? of_others : add_ports(ranked), of_others});
}

std::uint32_t Policy::add_ports(std::span<const std::uint32_t> ranked) {
  std::vector<PortSites::Entry> entries;
  entries.reserve(ranked.size());
  for (const std::uint32_t i : ranked) {
    entries.push_back({rules_[i].rule.ports, rules_[i].rule.protocol, i});
  }
  return ports_.add(entries);
}

const PolicyRule* Policy::host_rule(Protocol protocol, wire::Port port) const {
  if (host_site_ == kNone) return nullptr;
  const std::uint32_t found = ports_.find(host_site_, protocol, port);
  return found == PortSites::kNone ? nullptr : &rules_[found];
}

Decision Policy::decide(Protocol protocol, const wire::Endpoint& target, OnHost on_host) const {
  const PolicyRule* const host =
      on_host == OnHost::kYes ? host_rule(protocol, target.port) : nullptr;
  for (std::uint32_t i = index_.find(target.address); i != PrefixIndex::kNone;
       i = index_.enclosing(i)) {
    const Site& site = sites_[i];
    const bool alike = site.of_public == site.of_others;
    const std::uint32_t found =
        ports_.find(alike || !is_public(target.address) ? site.of_others : site.of_public, protocol,
                    target.port);
    if (found == PortSites::kNone) continue;
    const PolicyRule& rule = rules_[found];
    const bool names_it =
        rule.origin == Origin::kUser && rule.rule.prefix.length == full_length(target.address);
    if (host != nullptr && !names_it) break;
    return {rule.effect, &rule};
  }
  if (host != nullptr) return {host->effect, host};
  return {fallback_, nullptr};
}

}  // namespace sluice::policy
