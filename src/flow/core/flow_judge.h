// Who decides about flows where names do (flow/judge). FlowAdmission asks; without one, addresses
// alone decide.
#pragma once

#include "base/time.h"
#include "flow/core/ask.h"
#include "flow/core/named_by.h"
#include "policy/protocol.h"
#include "policy/verdict.h"
#include "wire/address.h"

namespace sluice::flow {

struct JudgedFlow {
  policy::Verdict verdict = policy::Verdict::kAccepted;
  Gate gate = Gate::kOpen;
  bool ask = false;  // Accepted if somebody who is asked says so.
  NamedBy by{};
};

class FlowJudge {
 public:
  // With the SYN, the first datagram or the first echo request. `remote.port` does not count for
  // ICMP.
  [[nodiscard]] virtual JudgedFlow judge_new(policy::Protocol protocol,
                                             const wire::Endpoint& remote, Instant now) = 0;
  // Of a flow that lives, after a change: whether it would be let through again.
  [[nodiscard]] virtual bool accepts_still(policy::Protocol protocol, const wire::Endpoint& remote,
                                           const NamedBy& by, Instant now) = 0;

 protected:
  ~FlowJudge() = default;
};

}  // namespace sluice::flow
