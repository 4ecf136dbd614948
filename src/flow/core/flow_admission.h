// The decision on every new flow, in this order: policy, then limits, then whether somebody else is
// asked. One place, so that TCP, UDP and ICMP cannot differ.
#pragma once

#include "base/time.h"
#include "dns/names/name_book.h"
#include "flow/core/ask.h"
#include "flow/core/drop_reason.h"
#include "flow/core/flow_judge.h"
#include "flow/core/named_by.h"
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
  NamedBy by{};
  // By a policy of names, not for want of room: the guest is told so.
  bool prohibited = false;

  [[nodiscard]] static Admitted of(policy::Verdict verdict) {
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

  // Who decides in the place of `policy`, with the names that it holds flows' names in; null:
  // nobody. Not owned.
  void set_judge(FlowJudge* judge, dns::NameBook* names) {
    judge_ = judge;
    names_ = names;
  }

  // A flow that is accepted counts until released(). By addresses alone.
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
    if (judge_ != nullptr) [[unlikely]]
      return judge_by_name(protocol, remote, now, side);
    const policy::Verdict verdict = admit(protocol, remote, now, side);
    if (verdict != policy::Verdict::kAccepted) return {Admitted::Answer::kRefused, verdict};
    const bool tcp = protocol == policy::Protocol::kTcp;
    if (!(tcp ? ask_.tcp : protocol == policy::Protocol::kUdp && ask_.udp)) [[likely]]
      return {.gate = tcp ? ask_.gate : Gate::kOpen};
    return begin_asking(side, {});
  }
  // Of a flow that lives and was judged when it began, after a change: whether it would be let
  // through again.
  [[nodiscard]] bool accepts_still(policy::Protocol protocol, const wire::Endpoint& remote,
                                   const NamedBy& by, Instant now) {
    if (judge_ != nullptr) return judge_->accepts_still(protocol, remote, by, now);
    return reach_.judge(protocol, remote) == policy::Verdict::kAccepted;
  }
  // A flow that lives turns out to be for another name.
  void rename(NamedBy& by, const NamedBy& to) {
    hold(to);
    unhold(by);
    by = to;
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
  void released(policy::FlowSide side, const NamedBy& by = {}) {
    unhold(by);
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
  [[gnu::cold]] Admitted judge_by_name(policy::Protocol protocol, const wire::Endpoint& remote,
                                       Instant now, policy::FlowSide side) {
    JudgedFlow judged = judge_->judge_new(protocol, remote, now);
    // An echo request does not wait.
    if (judged.ask && protocol == policy::Protocol::kIcmp) {
      judged.verdict = policy::Verdict::kAskNobody;
    }
    if (judged.verdict != policy::Verdict::kAccepted) {
      return {.answer = Admitted::Answer::kRefused,
              .verdict = refuse(judged.verdict),
              .by = judged.by,
              .prohibited = true};
    }
    const policy::Verdict verdict = admit_unjudged(side, now);
    if (verdict != policy::Verdict::kAccepted) {
      return {.answer = Admitted::Answer::kRefused, .verdict = verdict, .by = judged.by};
    }
    if (judged.ask) return begin_asking(side, judged.by);
    hold(judged.by);
    return {.gate = judged.gate, .by = judged.by};
  }
  [[nodiscard]] Admitted begin_asking(policy::FlowSide side, const NamedBy& by) {
    if (asked_ >= ask_.flows_max) {
      released(side);
      return {.answer = Admitted::Answer::kRefused,
              .verdict = refuse(policy::Verdict::kAskQueueFull)};
    }
    ++asked_;
    hold(by);
    return {.answer = Admitted::Answer::kAsked, .by = by};
  }
  // The name of a flow that lives is not forgotten.
  void hold(const NamedBy& by) {
    if (by.name.valid() && names_ != nullptr) [[unlikely]]
      names_->hold(by.name);
  }
  void unhold(const NamedBy& by) {
    if (by.name.valid() && names_ != nullptr) [[unlikely]]
      names_->release(by.name);
  }

  policy::Reach reach_;
  policy::GuestLimits limits_;
  policy::SharedLimits* shared_;
  FlowJudge* judge_ = nullptr;
  dns::NameBook* names_ = nullptr;
  AskOptions ask_;
  std::size_t asked_ = 0;
  DropCounters drops_;
};

}  // namespace sluice::flow
