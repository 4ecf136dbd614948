// The decision on every new flow, in this order: policy, then limits, then whether somebody else is
// asked. One place, so that TCP, UDP and ICMP cannot differ.
#pragma once

#include "base/time.h"
#include "flow/core/ask.h"
#include "flow/core/drop_reason.h"
#include "policy/limits/guest_limits.h"
#include "policy/policy.h"
#include "policy/reach.h"
#include "policy/verdict.h"

namespace sluice::flow {

// What is said of a new flow at once.
struct Admitted {
  enum class Answer : std::uint8_t { kAllowed, kRefused, kAsked };
  Answer answer = Answer::kAllowed;
  policy::Verdict verdict = policy::Verdict::kAccepted;  // Why it is refused.
  Gate gate = Gate::kOpen;                               // Of one that is allowed.

  [[nodiscard]] static Admitted by(policy::Verdict verdict) {
    return {verdict == policy::Verdict::kAccepted ? Answer::kAllowed : Answer::kRefused, verdict};
  }
};

class FlowAdmission {
 public:
  // `policy` is not owned; nor is `shared`, which is asked in the place of `limits`. Null: nobody
  // shares them.
  FlowAdmission(const policy::Policy& policy, policy::HostAddresses host,
                const policy::GuestLimits& limits, policy::SharedLimits* shared = nullptr)
      : reach_(policy, host), limits_(limits), shared_(shared) {}

  // A flow that is accepted counts until released().
  [[nodiscard]] policy::Verdict admit(policy::Protocol protocol, const wire::Endpoint& remote,
                                      Instant now,
                                      policy::FlowSide side = policy::FlowSide::kOutbound) {
    const policy::Verdict verdict = reach_.judge(protocol, remote);
    if (verdict != policy::Verdict::kAccepted) return refuse(verdict);
    return admit_unjudged(side, now);
  }
  // The same for those that may have to wait for an answer. One that waits counts as a flow, too.
  [[nodiscard]] Admitted judge(policy::Protocol protocol, const wire::Endpoint& remote, Instant now,
                               policy::FlowSide side = policy::FlowSide::kOutbound) {
    const policy::Verdict verdict = admit(protocol, remote, now, side);
    if (verdict != policy::Verdict::kAccepted) return {Admitted::Answer::kRefused, verdict};
    const bool tcp = protocol == policy::Protocol::kTcp;
    if (!(tcp ? ask_.tcp : ask_.udp)) [[likely]]
      return {.gate = tcp ? ask_.gate : Gate::kOpen};
    if (asked_ >= ask_.flows_max) {
      released(side);
      return {Admitted::Answer::kRefused, refuse(policy::Verdict::kAskQueueFull)};
    }
    ++asked_;
    return {.answer = Admitted::Answer::kAsked};
  }
  // Of a flow that lives, after a change: whether policy would let it through again.
  [[nodiscard]] bool accepts_still(policy::Protocol protocol, const wire::Endpoint& remote) const {
    return reach_.judge(protocol, remote) == policy::Verdict::kAccepted;
  }
  // A flow that was asked about waits no longer.
  void answered() { --asked_; }
  [[nodiscard]] const AskOptions& ask() const { return ask_; }
  void set_ask(const AskOptions& ask) { ask_ = ask; }
  // A flow whose target is decided already: from outside to a published port, or to our DNS.
  [[nodiscard]] policy::Verdict admit_unjudged(policy::FlowSide side, Instant now) {
    const policy::Verdict verdict =
        shared_ == nullptr ? limits_.admit(side, now) : shared_->admit(side, now);
    return verdict == policy::Verdict::kAccepted ? verdict : refuse(verdict);
  }
  // Whether a flow of this side would find a place; counts nothing.
  [[nodiscard]] bool has_room(policy::FlowSide side) const {
    return shared_ == nullptr ? limits_.has_room(side) : shared_->has_room(side);
  }
  void released(policy::FlowSide side) {
    if (shared_ == nullptr) {
      limits_.released(side);
    } else {
      shared_->released(side);
    }
  }

  // Counts a refusal that was found out elsewhere.
  policy::Verdict refuse(policy::Verdict verdict) {
    drops_.count(reason_of(verdict));
    return verdict;
  }

  [[nodiscard]] DropCounters& drops() { return drops_; }
  [[nodiscard]] const DropCounters& drops() const { return drops_; }
  [[nodiscard]] policy::Reach& reach() { return reach_; }
  [[nodiscard]] const policy::Reach& reach() const { return reach_; }
  [[nodiscard]] const policy::GuestLimits& limits() const { return limits_; }

 private:
  [[nodiscard]] static DropReason reason_of(policy::Verdict verdict) {
    switch (verdict) {
      case policy::Verdict::kAccepted: break;
      case policy::Verdict::kNotRoutable: return DropReason::kUnreachable;
      case policy::Verdict::kDeniedByPolicy: return DropReason::kDeniedByPolicy;
      case policy::Verdict::kHostAddress: return DropReason::kHostAddress;
      case policy::Verdict::kAddressUnlisted: return DropReason::kAddressUnlisted;
      case policy::Verdict::kNameDenied: return DropReason::kNameDenied;
      case policy::Verdict::kNameUnlisted: return DropReason::kNameUnlisted;
      case policy::Verdict::kPortUnlisted: return DropReason::kPortUnlisted;
      case policy::Verdict::kPinExpired: return DropReason::kPinExpired;
      case policy::Verdict::kTooManyFlows: return DropReason::kTooManyFlows;
      case policy::Verdict::kTooManyNewFlows: return DropReason::kTooManyNewFlows;
      case policy::Verdict::kNoDescriptors: return DropReason::kNoDescriptors;
      case policy::Verdict::kAskRefused: return DropReason::kAskRefused;
      case policy::Verdict::kAskTimedOut: return DropReason::kAskTimedOut;
      case policy::Verdict::kAskNobody: return DropReason::kAskNobody;
      case policy::Verdict::kAskQueueFull: return DropReason::kAskQueueFull;
      case policy::Verdict::kFirstBytesRefused: return DropReason::kFirstBytesRefused;
      case policy::Verdict::kFirstBytesTimedOut: return DropReason::kFirstBytesTimedOut;
      case policy::Verdict::kFirstBytesFull: return DropReason::kFirstBytesFull;
      case policy::Verdict::kNoServerName: return DropReason::kNoServerName;
      case policy::Verdict::kServerNameMismatch: return DropReason::kServerNameMismatch;
      case policy::Verdict::kEncryptedHello: return DropReason::kEncryptedHello;
      case policy::Verdict::kNotTls: return DropReason::kNotTls;
      case policy::Verdict::kNotHttp: return DropReason::kNotHttp;
      case policy::Verdict::kHostMismatch: return DropReason::kHostMismatch;
      case policy::Verdict::kQuota: return DropReason::kQuota;
      case policy::Verdict::kRevoked: return DropReason::kRevoked;
      case policy::Verdict::kKilled: return DropReason::kKilled;
      case policy::Verdict::kDnsPrivate: return DropReason::kDnsPrivate;
      case policy::Verdict::kDnsBudget: return DropReason::kDnsBudget;
      case policy::Verdict::kDnsType: return DropReason::kDnsType;
    }
    unreachable("an accepted flow was refused");
  }

  policy::Reach reach_;
  policy::GuestLimits limits_;
  policy::SharedLimits* shared_;
  AskOptions ask_;
  std::size_t asked_ = 0;
  DropCounters drops_;
};

}  // namespace sluice::flow
