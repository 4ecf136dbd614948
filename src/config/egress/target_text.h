// Targets of rules in any alphabet, and what is doubtful about them. Names are compared as A-labels
// (RFC 5891, by UTS 46 without its transitional forms), and are shown as such: a Cyrillic letter
// that looks like a Latin one makes another name.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "policy/effect.h"
#include "policy/egress/egress_target.h"
#include "policy/rule.h"

namespace sluice::config {

struct TargetText {
  policy::EgressTarget target;
  std::string warning;  // For a person; empty: there is none.
};

// "*.com" and "*.co.uk" are refused where they would let through: whoever asks can have a name
// there. Names below which anybody may be given one, as below github.io, bring a warning.
[[nodiscard]] std::expected<TargetText, policy::RuleError> read_target(std::string_view text,
                                                                       policy::Effect effect);

}  // namespace sluice::config
