#include "telemetry/events/event_stream.h"

#include <algorithm>

namespace sluice::telemetry {

void EventStream::unsubscribe(EventQueue& queue) {
  lost_by_gone_ += queue.lost();
  std::erase(subscribers_, &queue);
}

void EventStream::add(Time time, const Event& event) {
  if (!wanted()) return;
  line_.clear();
  const EventHead head{++sequence_, time, run_};
  append_event(line_, head, event);
  hand_out(head);
}

void EventStream::hand_out(const EventHead& head) {
  const std::string_view line(line_.data(), line_.size());
  if (file_) file_->queue().add(head, line);
  for (EventQueue* const subscriber : subscribers_) subscriber->add(head, line);
}

void EventStream::add_flow(Time time, const FlowRecord& flow) {
  if (!wanted()) return;
  // Who was told of its beginning is told of its end.
  if (const auto reason = RefusalRate::reason_of(flow); reason && !flow.told) {
    if (!refusals_.admit(*reason, time)) return;
    tell_left_out(Kind::kFlow, *reason, time);
  }
  add(time, FlowEvent{flow});
}

void EventStream::add_query(Time time, const QueryEvent& query) {
  const auto reason = static_cast<std::size_t>(query.verdict);
  if (!wanted() || !queries_.admit(reason, time)) return;
  tell_left_out(Kind::kQuery, reason, time);
  add(time, query);
}

void EventStream::add_gate(Time time, const GateEvent& gate) {
  const auto reason = static_cast<std::size_t>(gate.verdict);
  if (!wanted() || !gates_.admit(reason, time)) return;
  tell_left_out(Kind::kGate, reason, time);
  add(time, gate);
}

void EventStream::leave_out(std::uint64_t queries, std::uint64_t gates) {
  constexpr auto kPassed = static_cast<std::size_t>(policy::Verdict::kAccepted);
  queries_.leave_out(kPassed, queries);
  gates_.leave_out(kPassed, gates);
}

RefusalRate& EventStream::rate_of(Kind kind) {
  switch (kind) {
    case Kind::kFlow: return refusals_;
    case Kind::kQuery: return queries_;
    case Kind::kGate: return gates_;
  }
  unreachable("kind of event outside its enum");
}

void EventStream::tell_left_out(Kind kind, std::size_t reason, Time time) {
  const std::uint64_t count = rate_of(kind).take_left_out(reason);
  if (count == 0) return;
  const policy::Verdict verdict = RefusalRate::verdict_of(reason);
  const EventType type = kind == Kind::kQuery  ? EventType::kDns
                         : kind == Kind::kGate ? EventType::kGate
                                               : type_of_end(verdict);
  add(time, LeftOutEvent{.type = type,
                         .verdict = verdict,
                         .outcome = RefusalRate::outcome_of(reason),
                         .count = count});
}

void EventStream::end(Time time, int status) {
  if (!wanted()) return;
  for (const Kind kind : {Kind::kFlow, Kind::kQuery, Kind::kGate}) {
    for (std::size_t reason = 0; reason < RefusalRate::kReasons; ++reason) {
      tell_left_out(kind, reason, time);
    }
  }
  // Room for the last word, where the file takes what waits.
  if (file_) file_->flush();
  add(time, EndEvent{.status = status, .events_lost = lost()});
  if (file_) file_->flush();
}

std::uint64_t EventStream::lost() const {
  std::uint64_t lost = lost_before_ + (file_ ? file_->queue().lost() : 0);
  for (const EventQueue* const subscriber : subscribers_) lost += subscriber->lost();
  return lost;
}

}  // namespace sluice::telemetry
