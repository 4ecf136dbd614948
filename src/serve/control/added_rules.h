// Rules that people add to a policy while it is in force. They stay when the rest is read again.
//
// A later one takes the place of an earlier one for the same target. One that denies without ports
// denies all of what it names: of rules for the same that name ports, and so would be the more
// specific ones, each gets a denial of its own beside it. Exceptions below it stay: "deny
// *.example.org" leaves a.example.org as it is. What people answered when they were asked is kept
// apart by the policy, and is only added.
#pragma once

#include <span>
#include <vector>

#include "policy/egress/egress_policy.h"

namespace sluice::serve {

// `draft` with these behind its own, in the order in which they were added.
[[nodiscard]] policy::EgressDraft with_added(policy::EgressDraft draft,
                                             std::span<const policy::DraftRule> added);

}  // namespace sluice::serve
