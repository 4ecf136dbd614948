#include "serve/control/policy_rows.h"

#include <fmt/core.h>

#include <algorithm>

#include "policy/egress/rule_rank.h"

namespace sluice::serve {

void PolicyRows::tell_rules(const control::Request& request, const Now& now,
                            control::Answer& answer) {
  if (ranked_of_ != now.generation) {
    ranked_ = policy::ranked_places(now.draft);
    ranked_of_ = now.generation;
  }
  const std::size_t max =
      request.max == 0 ? kRulesEach : std::min<std::uint64_t>(request.max, kRulesEach);
  const std::size_t first = std::min<std::uint64_t>(request.from, ranked_.size());
  const std::size_t last = first + std::min(max, ranked_.size() - first);
  for (std::size_t i = first; i < last; ++i) {
    const policy::DraftRule& rule = now.draft.rules[ranked_[i]];
    answer.item([&](telemetry::JsonLine& line) {
      line.text("rule", rule.rule.id);
      line.text("effect", policy::to_string(rule.rule.effect));
      line.text("target", policy::to_string(rule.target));
      line.text("of", rule.target.name() != nullptr ? "names" : "addresses");
      line.text("source", rule.rule.source);
      if (!rule.rule.note.empty()) line.text("note", rule.rule.note);
      line.number("hits", now.hits.of(ranked_[i]));
    });
  }
  answer.done([&](telemetry::JsonLine& line) {
    line.text("default", policy::to_string(now.draft.fallback));
    line.number("generation", now.generation);
    line.number("rules", ranked_.size());
    if (last == ranked_.size()) {
      line.null("next");
    } else {
      line.text("next", fmt::format("{:x}", last));
    }
  });
}

void PolicyRows::tell_refused(const telemetry::RefusedNames& refused, control::Answer& answer) {
  for (const telemetry::RefusedNames::Row& row : refused.rows()) {
    answer.item([&](telemetry::JsonLine& line) {
      line.text("name", row.name);
      line.text("reason", row.reason);
      line.number("count", row.count);
    });
  }
  answer.done([&](telemetry::JsonLine& line) { line.number("others", refused.others()); });
}

}  // namespace sluice::serve
