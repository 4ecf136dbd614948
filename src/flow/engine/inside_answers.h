// What http://sluice.internal/ answers the guest: why something was refused, what was refused
// lately, and the policy. Nothing can be changed from inside.
//
//   /            what there is
//   /why/ID      one refusal, as text
//   /denials     the newest refusals as JSON; ?last=20
//   /policy      the rules as JSON, in the order of writing, the first kRulesShown of them
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "flow/core/refusal_book.h"
#include "policy/egress/egress_policy.h"

namespace sluice::flow {

inline constexpr std::size_t kRulesShown = 1000;

// Of a whole head of a request; the whole answer, after which the connection ends.
[[nodiscard]] std::vector<std::uint8_t> answer_inside(ByteView head, const RefusalBook& refusals,
                                                      const policy::EgressPolicy& policy);

}  // namespace sluice::flow
