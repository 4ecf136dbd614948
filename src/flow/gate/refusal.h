// A flow that is refused by its first bytes: why, and what the guest is told in its own protocol.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "flow/gate/claim.h"
#include "policy/verdict.h"
#include "wire/first_bytes/http_head.h"

namespace sluice::flow {

struct Refusal {
  policy::Verdict verdict = policy::Verdict::kFirstBytesRefused;
  std::vector<std::uint8_t> answer{};  // Nothing: a reset says it.
  NamedBy by{};                        // What the judge said; nothing where it was not asked.
};

// What a judge has refused: `claim` is what was judged.
[[nodiscard]] Refusal refusal_of(const FlowKey& key, const Claim& claim, const Judged& judged,
                                 ClaimJudge& judge);
// A hello that no judge needs to see.
[[nodiscard]] Refusal refusal_of_hello();
// The same of a request, and of one that the guest did not finish.
[[nodiscard]] Refusal refusal_of_request(wire::HttpFault fault);
// What a rule lets through, but its limit does not. A page where HTTP is spoken, else a reset.
[[nodiscard]] Refusal refusal_of_limit(bool http, const RefusalWords& words);
// What a rule lets through by somebody who could not be reached.
[[nodiscard]] Refusal refusal_of_way(bool http, const RefusalWords& words);

}  // namespace sluice::flow
