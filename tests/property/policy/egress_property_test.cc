// The index of names against the plainest reading of the rules: look at all of them, keep the best.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <tuple>
#include <vector>

#include "policy/egress/egress_policy.h"

namespace sluice::policy {
namespace {

using Kind = NamePattern::Kind;

// Few labels, so that patterns nest, repeat and overlap.
rc::Gen<std::string> label_gen() {
  return rc::gen::element<std::string>("a", "b", "ab", "aab", "abb", "ba");
}

rc::Gen<std::string> base_gen() {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(label_gen()),
                      [](std::vector<std::string> labels) {
                        std::string text = "t";
                        labels.resize(std::min<std::size_t>(labels.size(), 3));
                        for (const std::string& label : labels) text = label + "." + text;
                        return text;
                      });
}

rc::Gen<std::string> pattern_gen() {
  return rc::gen::apply(
      [](const std::string& before, const std::string& base) {
        return before == "*" ? before : before + base;
      },
      rc::gen::element<std::string>("", ".", "*.", "a*.", "*b.", "a*b.", "*ab.", "ab*.", "*"),
      base_gen());
}

rc::Gen<std::string> target_gen() {
  return rc::gen::apply(
      [](const std::string& pattern, const std::string& ports) { return pattern + ports; },
      pattern_gen(),
      rc::gen::element<std::string>("", ":443", ":1-100", ":80,443", ":*", ":50-90/udp", ":*/udp",
                                    "/icmp", "/tcp", ":443/tcp"));
}

rc::Gen<DraftRule> rule_gen() {
  return rc::gen::apply(
      [](const std::string& target, Effect effect) {
        return DraftRule{parse_egress_target(target).value(), {.effect = effect}};
      },
      target_gen(), rc::gen::element(Effect::kAllow, Effect::kAsk, Effect::kDeny));
}

// What name_pattern.h and egress_policy.h say of the order, to compare: less is more specific.
auto weight(const DraftRule& rule) {
  const NamePattern& pattern = *rule.target.name();
  const bool exact = pattern.kind() == Kind::kExact;
  const bool glob = pattern.kind() == Kind::kGlob;
  const auto letters = glob ? pattern.before_star().size() + pattern.behind_star().size() : 0;
  const auto before = glob ? pattern.before_star().size() : 0;
  const PortScope scope = scope_of(rule.target, rule.rule.effect);
  const int kind = exact ? 0 : glob ? 1 : 2;
  return std::tuple(kind, -static_cast<int>(letters), -static_cast<int>(before),
                    -static_cast<int>(pattern.base().wire().size()), scope.ports_written,
                    !rule.target.protocol, -static_cast<int>(rule.rule.effect));
}

bool speaks_of(const DraftRule& rule, Protocol protocol, std::uint16_t port) {
  const PortScope scope = scope_of(rule.target, rule.rule.effect);
  if (scope.protocol && *scope.protocol != protocol) return false;
  if (scope.ports.empty()) return true;
  if (protocol == Protocol::kIcmp) return false;
  return std::ranges::any_of(scope.ports, [&](const PortRange& range) {
    return range.first <= port && port <= range.last;
  });
}

std::optional<Ruled> plain_decision(const std::vector<DraftRule>& rules,
                                    const wire::DomainName& name, Protocol protocol,
                                    std::uint16_t port) {
  std::optional<std::uint32_t> best;
  for (std::uint32_t i = 0; i < rules.size(); ++i) {
    if (!rules[i].target.name()->matches(name) || !speaks_of(rules[i], protocol, port)) continue;
    if (!best || weight(rules[i]) < weight(rules[*best])) best = i;
  }
  if (!best) return std::nullopt;
  return Ruled{rules[*best].rule.effect, RuleId{*best}};
}

wire::DomainName draw_name() {
  std::string text = *base_gen();
  if (*rc::gen::arbitrary<bool>()) std::ranges::transform(text, text.begin(), ::toupper);
  return wire::DomainName::from_text(text).value();
}

RC_GTEST_PROP(EgressProperty, DecidesAsLookingAtEveryRuleDoes, ()) {
  const auto rules = *rc::gen::container<std::vector<DraftRule>>(rule_gen());
  const Effect fallback = *rc::gen::element(Effect::kAllow, Effect::kAsk, Effect::kDeny);
  const auto policy = EgressPolicy::compile({.fallback = fallback, .rules = rules});
  RC_ASSERT(policy.has_value());
  for (int i = 0; i < 20; ++i) {
    const wire::DomainName name = draw_name();
    const auto protocol = *rc::gen::element(Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp);
    const auto port = *rc::gen::element<std::uint16_t>(0, 1, 50, 80, 90, 91, 100, 443, 444, 65'535);
    RC_ASSERT(policy->for_name(name, protocol, wire::Port{port}) ==
              plain_decision(rules, name, protocol, port));
  }
}

// One on each side of every end of a range that target_gen() draws.
constexpr std::array<std::uint16_t, 13> kPorts{0,  1,  49,  50,  79,  80, 81,
                                               90, 91, 100, 101, 443, 444};

RC_GTEST_PROP(EgressProperty, AQuestionMayLeaveIfSomeFlowMayBegin, ()) {
  const auto rules = *rc::gen::container<std::vector<DraftRule>>(rule_gen());
  const Effect fallback = *rc::gen::element(Effect::kAllow, Effect::kAsk, Effect::kDeny);
  const auto policy = EgressPolicy::compile({.fallback = fallback, .rules = rules});
  for (int i = 0; i < 5; ++i) {
    const wire::DomainName name = draw_name();
    Effect best = Effect::kDeny;
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
      for (const std::uint16_t port : kPorts) {
        const auto ruled = plain_decision(rules, name, protocol, port);
        best = std::min(best, ruled ? ruled->effect : fallback);
      }
    }
    RC_ASSERT(policy->for_query(name).effect == best);
    const bool any = std::ranges::any_of(
        rules, [&](const DraftRule& rule) { return rule.target.name()->matches(name); });
    RC_ASSERT(policy->any_rule_for_name(name) == any);
  }
}

RC_GTEST_PROP(EgressProperty, ATargetIsReadBackFromItsText, ()) {
  const auto target = parse_egress_target(*target_gen()).value();
  const auto again = parse_egress_target(to_string(target));
  RC_ASSERT(again.has_value());
  RC_ASSERT(*again == target);
}

}  // namespace
}  // namespace sluice::policy
