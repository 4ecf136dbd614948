#include "app/policy/ranked_rules.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

namespace sluice::app {
namespace {

using policy::AddressGroup;
using policy::DraftRule;
using policy::EgressDraft;
using policy::NamePattern;

// Less is more specific; names before addresses.
struct Rank {
  bool is_address = false;
  int kind = 0;
  int width = 0;
  std::uint32_t ports = 0;
  bool any_protocol = false;
  int effect = 0;
  std::size_t place = 0;
  friend auto operator<=>(const Rank&, const Rank&) = default;
};

int kind_of(const NamePattern& pattern) {
  switch (pattern.kind()) {
    case NamePattern::Kind::kExact: return 0;
    case NamePattern::Kind::kGlob: return 1;
    case NamePattern::Kind::kBelow:
    case NamePattern::Kind::kWithin: return 2;
    case NamePattern::Kind::kAny: return 3;
  }
  unreachable("kind outside its enum");
}

int width_of(const NamePattern& pattern) {
  const auto letters = pattern.kind() == NamePattern::Kind::kGlob
                           ? pattern.before_star().size() + pattern.behind_star().size()
                           : pattern.base().wire().size();
  return -static_cast<int>(letters);
}

// By the share of their family's addresses; groups by their widest prefix.
int width_of(const wire::Prefix& prefix) {
  return (prefix.address.is_v4() ? 32 : 128) - int{prefix.length};
}

int width_of(AddressGroup group) {
  switch (group) {
    case AddressGroup::kPublic: return 127;
    case AddressGroup::kHost:
    case AddressGroup::kGateway:
    case AddressGroup::kLoopback: return 0;
    case AddressGroup::kPrivate:
    case AddressGroup::kLinkLocal:
    case AddressGroup::kMetadata: break;
  }
  int widest = 0;
  for (const wire::Prefix& prefix : policy::prefixes_of(group)) {
    widest = std::max(widest, prefix.address.is_v4() ? width_of(prefix) : 0);
  }
  return widest;
}

Rank rank_of(const DraftRule& rule, std::size_t place) {
  const policy::PortScope scope = scope_of(rule.target, rule.rule.effect);
  Rank rank{.ports = scope.ports_written,
            .any_protocol = !scope.protocol_written,
            .effect = -static_cast<int>(rule.rule.effect),
            .place = place};
  if (const NamePattern* pattern = rule.target.name()) {
    rank.kind = kind_of(*pattern);
    rank.width = width_of(*pattern);
    return rank;
  }
  rank.is_address = true;
  if (const auto* prefix = std::get_if<wire::Prefix>(&rule.target.subject)) {
    rank.width = width_of(*prefix);
  } else {
    rank.width = width_of(std::get<AddressGroup>(rule.target.subject));
  }
  return rank;
}

ShownRule shown(const DraftRule& rule) {
  return {rule.rule.effect, to_string(rule.target), rule.rule.id, rule.rule.note,
          rule.target.name() != nullptr};
}

std::vector<std::string> keys_of(const EgressDraft& draft) {
  std::vector<std::string> keys;
  for (const DraftRule& rule : draft.rules) {
    keys.push_back(fmt::format("{} {}", to_string(rule.rule.effect), to_string(rule.target)));
  }
  return keys;
}

// The rules of `draft` whose effect and target are not among `others`.
std::string lines_of(const EgressDraft& draft, const EgressDraft& others, char sign) {
  const std::vector<std::string> known = keys_of(others);
  const std::set<std::string> all(known.begin(), known.end());
  const std::vector<std::string> keys = keys_of(draft);
  std::string text;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (all.contains(keys[i])) continue;
    text += fmt::format("{} {} ({})\n", sign, keys[i], draft.rules[i].rule.id);
  }
  return text;
}

}  // namespace

std::vector<ShownRule> rank_rules(const EgressDraft& draft) {
  std::vector<std::pair<Rank, const DraftRule*>> ranked;
  for (const DraftRule& rule : draft.rules) {
    ranked.emplace_back(rank_of(rule, ranked.size()), &rule);
  }
  std::ranges::sort(ranked);
  std::vector<ShownRule> rules;
  for (const auto& [rank, rule] : ranked) rules.push_back(shown(*rule));
  return rules;
}

std::string explain_text(const EgressDraft& draft) {
  const std::vector<ShownRule> rules = rank_rules(draft);
  std::size_t width = 0;
  for (const ShownRule& rule : rules) width = std::max(width, rule.target.size());
  std::string text;
  for (const bool names : {true, false}) {
    text += names ? "names, the most specific first:\n" : "addresses, the most specific first:\n";
    bool any = false;
    for (const ShownRule& rule : rules) {
      if (rule.is_name != names) continue;
      any = true;
      text += fmt::format("  {:<5}  {:<{}}  {}{}{}\n", to_string(rule.effect), rule.target, width,
                          rule.id, rule.note.empty() ? "" : ": ", rule.note);
    }
    if (!any) text += "  none\n";
  }
  text += "always denied unless a rule as specific allows it: @link-local, @metadata\n";
  text += fmt::format("what no rule speaks of: {}\n", to_string(draft.fallback));
  return text;
}

std::string explain_json(const EgressDraft& draft) {
  nlohmann::ordered_json rules = nlohmann::ordered_json::array();
  for (const ShownRule& rule : rank_rules(draft)) {
    nlohmann::ordered_json each{{"effect", to_string(rule.effect)},
                                {"target", rule.target},
                                {"id", rule.id},
                                {"of", rule.is_name ? "names" : "addresses"}};
    if (!rule.note.empty()) each["note"] = rule.note;
    rules.push_back(std::move(each));
  }
  const nlohmann::ordered_json all{{"default", to_string(draft.fallback)}, {"rules", rules}};
  return all.dump(2) + "\n";
}

std::string difference(const EgressDraft& before, const EgressDraft& after) {
  std::string text;
  if (before.fallback != after.fallback) {
    text += fmt::format("- default {}\n+ default {}\n", to_string(before.fallback),
                        to_string(after.fallback));
  }
  return text + lines_of(before, after, '-') + lines_of(after, before, '+');
}

}  // namespace sluice::app
