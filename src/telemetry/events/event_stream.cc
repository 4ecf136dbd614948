#include "telemetry/events/event_stream.h"

#include <algorithm>

namespace sluice::telemetry {

void EventStream::unsubscribe(EventQueue& queue) { std::erase(subscribers_, &queue); }

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
    tell_left_out(*reason, time);
  }
  add(time, FlowEvent{flow});
}

void EventStream::tell_left_out(std::size_t reason, Time time) {
  const std::uint64_t count = refusals_.take_left_out(reason);
  if (count == 0) return;
  add(time, LeftOutEvent{.verdict = RefusalRate::verdict_of(reason),
                         .outcome = RefusalRate::outcome_of(reason),
                         .count = count});
}

void EventStream::end(Time time, int status) {
  if (!wanted()) return;
  for (std::size_t reason = 0; reason < RefusalRate::kReasons; ++reason) {
    tell_left_out(reason, time);
  }
  // Room for the last word, where the file takes what waits.
  if (file_) file_->flush();
  add(time, EndEvent{.status = status, .events_lost = lost()});
  if (file_) file_->flush();
}

std::uint64_t EventStream::lost() const {
  std::uint64_t lost = file_ ? file_->queue().lost() : 0;
  for (const EventQueue* const subscriber : subscribers_) lost += subscriber->lost();
  return lost;
}

}  // namespace sluice::telemetry
