// The decision on every new flow, in the order of DESIGN.md: policy, then limits. One place, so
// that TCP, UDP and ICMP cannot differ.
#pragma once

#include "base/time.h"
#include "flow/drop_reason.h"
#include "policy/limits.h"
#include "policy/policy.h"
#include "policy/routable.h"
#include "policy/verdict.h"

namespace sluice::flow {

class Admission {
 public:
  // `policy` is not owned.
  Admission(const policy::Policy& policy, const policy::LimitOptions& limits)
      : policy_(&policy), limits_(limits) {}

  // A flow that is accepted counts until released().
  [[nodiscard]] policy::Verdict admit(policy::Protocol protocol, const wire::Endpoint& remote,
                                      Instant now) {
    if (policy::is_never_routable(remote.address)) return refuse(policy::Verdict::kNotRoutable);
    const policy::Verdict verdict = policy_->decide(protocol, remote).verdict;
    if (verdict != policy::Verdict::kAccepted) return refuse(verdict);
    return admit_inbound(now);
  }
  // A flow from outside to a published port: whoever published it has decided already.
  [[nodiscard]] policy::Verdict admit_inbound(Instant now) {
    const policy::Verdict verdict = limits_.admit(now);
    return verdict == policy::Verdict::kAccepted ? verdict : refuse(verdict);
  }
  void released() { limits_.released(); }

  // Counts a refusal that was found out elsewhere.
  policy::Verdict refuse(policy::Verdict verdict) {
    drops_.count(reason_of(verdict));
    return verdict;
  }

  [[nodiscard]] DropCounters& drops() { return drops_; }
  [[nodiscard]] const DropCounters& drops() const { return drops_; }
  [[nodiscard]] const policy::FlowLimits& limits() const { return limits_; }

 private:
  [[nodiscard]] static DropReason reason_of(policy::Verdict verdict) {
    switch (verdict) {
      case policy::Verdict::kAccepted: break;
      case policy::Verdict::kNotRoutable: return DropReason::kUnreachable;
      case policy::Verdict::kDeniedByPolicy: return DropReason::kDeniedByPolicy;
      case policy::Verdict::kTooManyFlows: return DropReason::kTooManyFlows;
      case policy::Verdict::kTooManyNewFlows: return DropReason::kTooManyNewFlows;
      case policy::Verdict::kNoDescriptors: return DropReason::kNoDescriptors;
    }
    unreachable("an accepted flow was refused");
  }

  const policy::Policy* policy_;
  policy::FlowLimits limits_;
  DropCounters drops_;
};

}  // namespace sluice::flow
