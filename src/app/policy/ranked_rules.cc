#include "app/policy/ranked_rules.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "config/egress/limit_text.h"
#include "policy/egress/rule_rank.h"

namespace sluice::app {
namespace {

using policy::DraftRule;
using policy::EgressDraft;

ShownRule shown(const DraftRule& rule) {
  return {.effect = rule.rule.effect,
          .target = to_string(rule.target),
          .id = rule.rule.id,
          .note = rule.rule.note,
          .limit = config::describe_limit(rule.rule.limit.value_or(policy::TrafficLimit{})),
          .via = rule.rule.via ? to_string(*rule.rule.via) : "",
          .is_name = rule.target.name() != nullptr};
}

std::vector<std::string> keys_of(const EgressDraft& draft) {
  std::vector<std::string> keys;
  for (const DraftRule& rule : draft.rules) {
    std::string key = fmt::format("{} {}", to_string(rule.rule.effect), to_string(rule.target));
    if (rule.rule.via) key += fmt::format(" via {}", to_string(*rule.rule.via));
    if (rule.rule.limit) key += fmt::format(" limit {}", config::describe_limit(*rule.rule.limit));
    keys.push_back(std::move(key));
  }
  return keys;
}

// The rules of `draft` whose effect, target, limit and broker are not among `others`.
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
  std::vector<ShownRule> rules;
  for (const std::size_t place : policy::ranked_places(draft)) {
    rules.push_back(shown(draft.rules[place]));
  }
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
      if (!rule.via.empty()) text += fmt::format("  {:<5}  via {}\n", "", rule.via);
      if (!rule.limit.empty()) text += fmt::format("  {:<5}  limit {}\n", "", rule.limit);
    }
    if (!any) text += "  none\n";
  }
  text += "always denied unless a rule as specific allows it: @link-local, @metadata\n";
  text += fmt::format("what no rule speaks of: {}\n", to_string(draft.fallback));
  if (draft.limit.any()) {
    text += fmt::format("limit of the run: {}\n", config::describe_limit(draft.limit));
  }
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
    if (!rule.via.empty()) each["via"] = rule.via;
    if (!rule.limit.empty()) each["limit"] = rule.limit;
    rules.push_back(std::move(each));
  }
  nlohmann::ordered_json all{{"default", to_string(draft.fallback)}, {"rules", rules}};
  if (draft.limit.any()) all["limit"] = config::describe_limit(draft.limit);
  return all.dump(2) + "\n";
}

std::string difference(const EgressDraft& before, const EgressDraft& after) {
  std::string text;
  if (before.fallback != after.fallback) {
    text += fmt::format("- default {}\n+ default {}\n", to_string(before.fallback),
                        to_string(after.fallback));
  }
  if (before.limit != after.limit) {
    if (before.limit.any())
      text += fmt::format("- limit {}\n", config::describe_limit(before.limit));
    if (after.limit.any()) text += fmt::format("+ limit {}\n", config::describe_limit(after.limit));
  }
  return text + lines_of(before, after, '-') + lines_of(after, before, '+');
}

}  // namespace sluice::app
