// New flows where names decide or where flows are measured.
#include "flow/core/flow_admission.h"

namespace sluice::flow {
namespace {

using policy::Verdict;

}  // namespace

[[gnu::cold]] Admitted FlowAdmission::judge_by_name(policy::Protocol protocol,
                                                    const wire::Endpoint& remote, Instant now,
                                                    policy::FlowSide side) {
  JudgedFlow judged = judge_->judge_new(protocol, remote, now);
  if (judged.verdict == Verdict::kAccepted && !can_be_led(protocol, judged.by.rule)) {
    judged.verdict = Verdict::kViaFailed;
  }
  if (judged.verdict != Verdict::kAccepted) {
    // Of one that is to be told more, the refusal is counted once that was done.
    if (judged.explain && has_room(side) && admit_unjudged(side, now) == Verdict::kAccepted) {
      hold(judged.by);
      return {.verdict = judged.verdict, .gate = Gate::kFirstBytes, .by = judged.by};
    }
    return {.answer = Admitted::Answer::kRefused,
            .verdict = refuse(judged.verdict),
            .by = judged.by,
            .prohibited = true};
  }
  // An echo request does not wait: it asks, and is dropped.
  if (judged.ask && protocol == policy::Protocol::kIcmp) {
    return {.answer = Admitted::Answer::kAsked, .by = judged.by};
  }
  Admitted admitted{.gate = judged.gate, .by = judged.by, .client_first = judged.client_first};
  // Where a guest can be told in HTTP, it is told there.
  admitted.metered.over = judged.http && judged.gate == Gate::kFirstBytes;
  const Verdict verdict = admit_metered(side, now, admitted.metered, judged.by.rule);
  if (verdict != Verdict::kAccepted) {
    return {.answer = Admitted::Answer::kRefused, .verdict = verdict, .by = judged.by};
  }
  if (judged.ask) return begin_asking(side, admitted);
  hold(judged.by);
  return admitted;
}

// By addresses alone; the rule matters for its limit.
[[gnu::cold]] Admitted FlowAdmission::judge_metered(policy::Protocol protocol,
                                                    const wire::Endpoint& remote, Instant now,
                                                    policy::FlowSide side) {
  const policy::Reached reached = reach_.look(protocol, remote);
  if (reached.verdict != Verdict::kAccepted) {
    return {.answer = Admitted::Answer::kRefused, .verdict = refuse(reached.verdict)};
  }
  Admitted admitted{.gate = gate_of(protocol)};
  if (reached.rule != nullptr) admitted.by.rule = reached.rule->id;
  if (!can_be_led(protocol, admitted.by.rule)) {
    return {.answer = Admitted::Answer::kRefused,
            .verdict = refuse(Verdict::kViaFailed),
            .by = admitted.by};
  }
  const Verdict verdict = admit_metered(side, now, admitted.metered, admitted.by.rule);
  if (verdict != Verdict::kAccepted) {
    return {.answer = Admitted::Answer::kRefused, .verdict = verdict, .by = admitted.by};
  }
  return asks_about(protocol) ? begin_asking(side, admitted) : admitted;
}

[[gnu::cold]] Admitted FlowAdmission::begin_asking(policy::FlowSide side, Admitted admitted) {
  if (asked_ >= ask_.flows_max) {
    released(side, {}, admitted.metered);
    return {.answer = Admitted::Answer::kRefused,
            .verdict = refuse(Verdict::kAskQueueFull),
            .by = admitted.by,
            .prohibited = judge_ != nullptr};
  }
  ++asked_;
  hold(admitted.by);
  admitted.answer = Admitted::Answer::kAsked;
  return admitted;
}

// `metered.over` says whether one without a place is let through all the same.
policy::Verdict FlowAdmission::admit_metered(policy::FlowSide side, Instant now, Metered& metered,
                                             policy::RuleId rule) {
  const bool anyhow = metered.over;
  metered = {.meter = meters_.of(rule)};
  if (metered.any() && !metered.meter->enter()) {
    if (!anyhow) return refuse(Verdict::kQuota);
    metered.over = true;
  }
  const Verdict verdict = admit_unjudged(side, now);
  if (verdict != Verdict::kAccepted && metered.any() && !metered.over) metered.meter->leave();
  return verdict;
}

bool FlowAdmission::enter_meter(Metered& metered, policy::Meter* meter) {
  if (metered.meter != meter) {
    if (metered.any() && !metered.over) metered.meter->leave();
    metered.over = true;
  }
  return move_to_meter(metered, meter);
}

bool FlowAdmission::move_to_meter(Metered& metered, policy::Meter* meter) {
  const Metered from = metered;
  metered.meter = meter;
  if (from.over || (from.meter == nullptr && meter == nullptr)) {
    metered.over = meter != nullptr && !meter->enter();
    return !metered.over;
  }
  if (from.meter == meter) return !meter->used_up();
  if (from.any()) from.meter->leave();
  if (meter == nullptr) return true;
  meter->join();
  return !meter->used_up();
}

}  // namespace sluice::flow
