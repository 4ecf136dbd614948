// The decision on every new flow, in this order: policy, then limits, then whether somebody else is
// asked. One place, so that TCP, UDP and ICMP cannot differ.
#pragma once

#include <optional>

#include "base/time.h"
#include "dns/names/name_book.h"
#include "flow/core/ask.h"
#include "flow/core/drop_reason.h"
#include "flow/core/flow_judge.h"
#include "flow/core/metered.h"
#include "flow/core/named_by.h"
#include "policy/egress/egress_policy.h"
#include "policy/egress/meter_book.h"
#include "policy/limits/guest_limits.h"
#include "policy/policy.h"
#include "policy/reach.h"
#include "policy/verdict.h"

namespace sluice::flow {

// What is said of a new flow at once.
struct Admitted {
  enum class Answer : std::uint8_t { kAllowed, kRefused, kAsked };
  Answer answer = Answer::kAllowed;
  // Why it is refused; of one that is allowed: it is let in only to be told that, by the answer to
  // its first bytes.
  policy::Verdict verdict = policy::Verdict::kAccepted;
  Gate gate = Gate::kOpen;  // Of one that is allowed.
  NamedBy by{};
  Metered metered{};
  bool client_first = false;  // Where the guest speaks first, with a gate.
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

  [[nodiscard]] bool has_judge() const { return judge_ != nullptr; }

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
    if (meters_.any() || leading_ != nullptr) [[unlikely]]
      return judge_metered(protocol, remote, now, side);
    const policy::Verdict verdict = admit(protocol, remote, now, side);
    if (verdict != policy::Verdict::kAccepted) return {Admitted::Answer::kRefused, verdict};
    if (!asks_about(protocol)) [[likely]]
      return {.gate = gate_of(protocol)};
    return begin_asking(side, {.gate = gate_of(protocol)});
  }
  // Of a flow that waits for an answer, after a change: kAsked, it waits on. Counts nothing.
  [[nodiscard]] Admitted judge_waiting(policy::Protocol protocol, const wire::Endpoint& remote,
                                       Instant now) {
    if (judge_ == nullptr) return Admitted::of(reach_.judge(protocol, remote));
    const JudgedFlow judged = judge_->judge_new(protocol, remote, now);
    if (!can_be_led(protocol, judged.by.rule)) return Admitted::of(policy::Verdict::kViaFailed);
    if (judged.verdict != policy::Verdict::kAccepted) return Admitted::of(judged.verdict);
    using Answer = Admitted::Answer;
    return {.answer = judged.ask ? Answer::kAsked : Answer::kAllowed,
            .gate = judged.gate,
            .by = judged.by};
  }
  // Of a flow that lives and was judged when it began, after a change: whether it would be let
  // through again. Then `by.rule` is the rule that does.
  [[nodiscard]] bool accepts_still(policy::Protocol protocol, const wire::Endpoint& remote,
                                   NamedBy& by, Instant now) {
    if (judge_ != nullptr) {
      return judge_->accepts_still(protocol, remote, by, now) && can_be_led(protocol, by.rule);
    }
    const policy::Reached reached = reach_.look(protocol, remote);
    by.rule = reached.rule == nullptr ? policy::RuleId{} : reached.rule->id;
    return reached.verdict == policy::Verdict::kAccepted && can_be_led(protocol, by.rule);
  }
  // ... and of one that went on to where a name leads.
  [[nodiscard]] bool accepts_target(policy::Protocol protocol, const NamedBy& by,
                                    const std::optional<wire::Endpoint>& target) {
    return !target || judge_ == nullptr ||
           judge_->judge_target(protocol, by, *target) == policy::Verdict::kAccepted;
  }
  // From here on flows count for these. Those that live are to be told, by move_to_meter().
  void set_meters(const policy::MeterTable& meters) { meters_ = meters; }
  [[nodiscard]] const policy::MeterTable& meters() const { return meters_; }
  // Whose rules lead flows by somebody; null: none do. Not owned.
  void set_leading(const policy::EgressPolicy* policy) { leading_ = policy; }
  [[nodiscard]] bool leads_any() const { return leading_ != nullptr; }
  // Null: by nobody.
  [[nodiscard]] const policy::EgressRule* led_by(policy::RuleId rule) const {
    if (leading_ == nullptr) [[likely]]
      return nullptr;
    const policy::EgressRule& found = leading_->rule(rule);
    return found.via ? &found : nullptr;
  }
  [[nodiscard]] std::optional<wire::DomainName> name_of(const NamedBy& by) const {
    return names_ == nullptr ? std::nullopt : names_->name(by.name);
  }
  // A flow that nothing is claimed for counts for this meter from here on; null: for none. False
  // where nothing is left for it. One that had no place yet takes one, where there is one.
  bool move_to_meter(Metered& metered, policy::Meter* meter);
  // The same of one that begins: it needs a place.
  bool enter_meter(Metered& metered, policy::Meter* meter);
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
  // The same of one that the policy is not asked about, which counts for the run's meter.
  [[nodiscard]] policy::Verdict admit_unasked(policy::FlowSide side, Instant now,
                                              Metered& metered) {
    if (meters_.of_run() == nullptr) [[likely]]
      return admit_unjudged(side, now);
    return admit_metered(side, now, metered, policy::RuleId{});
  }
  // Whether a flow of this side would find a place; counts nothing.
  [[nodiscard]] bool has_room(policy::FlowSide side) const {
    return shared_ == nullptr ? limits_.has_room(side) : shared_->has_room(side);
  }
  void released(policy::FlowSide side, const NamedBy& by = {}, const Metered& metered = {}) {
    unhold(by);
    if (metered.any() && !metered.over) [[unlikely]]
      metered.meter->leave();
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
  // flow_admission.cc
  [[nodiscard]] Admitted judge_by_name(policy::Protocol protocol, const wire::Endpoint& remote,
                                       Instant now, policy::FlowSide side);
  [[nodiscard]] Admitted judge_metered(policy::Protocol protocol, const wire::Endpoint& remote,
                                       Instant now, policy::FlowSide side);
  [[nodiscard]] Admitted begin_asking(policy::FlowSide side, Admitted admitted);
  [[nodiscard]] policy::Verdict admit_metered(policy::FlowSide side, Instant now, Metered& metered,
                                              policy::RuleId rule);

  [[nodiscard]] bool asks_about(policy::Protocol protocol) const {
    return protocol == policy::Protocol::kTcp ? ask_.tcp
                                              : protocol == policy::Protocol::kUdp && ask_.udp;
  }
  // Nothing but TCP is led by somebody, and nothing goes past him.
  [[nodiscard]] bool can_be_led(policy::Protocol protocol, policy::RuleId rule) const {
    return protocol == policy::Protocol::kTcp || led_by(rule) == nullptr;
  }
  [[nodiscard]] Gate gate_of(policy::Protocol protocol) const {
    return protocol == policy::Protocol::kTcp ? ask_.gate : Gate::kOpen;
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
  policy::MeterTable meters_;
  const policy::EgressPolicy* leading_ = nullptr;
  DropCounters drops_;
};

}  // namespace sluice::flow
