// The rules of a policy in the order in which they count, and how two policies differ.
#pragma once

#include <string>
#include <vector>

#include "policy/egress/egress_policy.h"

namespace sluice::app {

// A line of a list of rules.
struct ShownRule {
  policy::Effect effect = policy::Effect::kAllow;
  std::string target;
  std::string id;
  std::string note;
  std::string limit;  // Empty: there is none; the same of `via`.
  std::string via;
  bool is_name = false;
};

// Names first, then addresses, each from the most specific to the least; the denials that every
// policy begins with stand behind the others of their prefix.
[[nodiscard]] std::vector<ShownRule> rank_rules(const policy::EgressDraft& draft);

[[nodiscard]] std::string explain_text(const policy::EgressDraft& draft);
[[nodiscard]] std::string explain_json(const policy::EgressDraft& draft);

// Lines "- allow example.com (a.toml:3)" and "+ …"; empty: both say the same.
[[nodiscard]] std::string difference(const policy::EgressDraft& before,
                                     const policy::EgressDraft& after);

}  // namespace sluice::app
