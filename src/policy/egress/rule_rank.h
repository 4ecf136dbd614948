// The rules of a policy in the order in which they count, for people to read.
#pragma once

#include <cstddef>
#include <vector>

#include "policy/egress/egress_policy.h"

namespace sluice::policy {

// Places in the draft's list: names first, then addresses, each from the most specific to the
// least; the denials that every policy begins with stand behind the others of their prefix.
[[nodiscard]] std::vector<std::size_t> ranked_places(const EgressDraft& draft);

}  // namespace sluice::policy
