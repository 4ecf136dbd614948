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
  bool http = false;          // Where HTTP is expected: with a gate, a refusal can be said in it.
  bool client_first = false;  // Where the guest speaks first: TLS or HTTP is expected.
  bool ask = false;           // Accepted if somebody who is asked says so.
  // Refused, but TCP on a port where the guest can be told why in its own protocol.
  bool explain = false;
  NamedBy by{};
};

class FlowJudge {
 public:
  // With the SYN, the first datagram or the first echo request. `remote.port` does not count for
  // ICMP.
  [[nodiscard]] virtual JudgedFlow judge_new(policy::Protocol protocol,
                                             const wire::Endpoint& remote, Instant now) = 0;
  // Of a flow that lives, after a change: whether it would be let through again. Then `by.rule` is
  // the rule that does.
  [[nodiscard]] virtual bool accepts_still(policy::Protocol protocol, const wire::Endpoint& remote,
                                           NamedBy& by, Instant now) = 0;
  // Of a flow to an address that stands for a name (NameSource::kSynthetic), and that was let
  // through: whether it may go on to `target`, where the name leads.
  [[nodiscard]] virtual policy::Verdict judge_target(policy::Protocol protocol, const NamedBy& by,
                                                     const wire::Endpoint& target) = 0;

 protected:
  ~FlowJudge() = default;
};

}  // namespace sluice::flow
