#include "serve/control/added_rules.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sluice::serve {
namespace {

using policy::DraftRule;
using policy::Effect;

[[nodiscard]] bool denies_all(const DraftRule& rule) {
  return rule.rule.effect == Effect::kDeny && !rule.target.ports_written && !rule.target.protocol;
}

// What would be more specific than a rule that denies all of the same.
[[nodiscard]] bool is_exception(const DraftRule& rule, const DraftRule& denial) {
  return rule.rule.effect != Effect::kDeny && !rule.rule.decision &&
         rule.target.subject == denial.target.subject &&
         (rule.target.ports_written || rule.target.protocol);
}

}  // namespace

policy::EgressDraft with_added(policy::EgressDraft draft, std::span<const DraftRule> added) {
  std::vector<DraftRule> later;
  for (const DraftRule& rule : added) {
    if (rule.rule.decision) {
      later.push_back(rule);
      continue;
    }
    if (denies_all(rule)) {
      std::erase_if(later, [&](const DraftRule& one) { return is_exception(one, rule); });
      for (const DraftRule& one : draft.rules) {
        if (is_exception(one, rule)) later.push_back({one.target, rule.rule});
      }
    }
    std::erase_if(later, [&](const DraftRule& one) {
      return !one.rule.decision && one.target == rule.target;
    });
    later.push_back(rule);
  }
  std::ranges::move(later, std::back_inserter(draft.rules));
  return draft;
}

}  // namespace sluice::serve
