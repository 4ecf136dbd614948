// What happens in a run, told as it happens to all who listen: the file of --events, and
// subscribers of whom each has a queue of its own (event_queue.h). One stream for all workers of a
// guest, in the thread of the first, to which the others report.
//
// Of flows that are refused before they begin, and of inbound ones that made room for newer ones, a
// burst gets events, and then a few a second, as in the flow log (refusal_rate.h). What was left
// out is told with the next one of that reason, or in the end. Not thread-safe.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "telemetry/events/event.h"
#include "telemetry/events/event_file.h"
#include "telemetry/events/event_queue.h"
#include "telemetry/refusal_rate.h"

namespace sluice::telemetry {

class EventStream {
 public:
  using Time = std::chrono::system_clock::time_point;

  // `run` names the run (run_id.h).
  explicit EventStream(std::string run) : run_(std::move(run)) {}

  // At most one, and before there are events.
  void write_to(EventFile file) { file_ = std::move(file); }
  // The queue is not owned, and gets what comes from here on. It is unsubscribed before it goes.
  void subscribe(EventQueue& queue) { subscribers_.push_back(&queue); }
  void unsubscribe(EventQueue& queue);

  // Whether anybody listens. If not, events cost nothing and have no numbers.
  [[nodiscard]] bool wanted() const { return file_.has_value() || !subscribers_.empty(); }
  [[nodiscard]] const std::string& run() const { return run_; }

  void add(Time time, const Event& event);
  // A flow that begins, has ended or was refused.
  void add_flow(Time time, const FlowRecord& flow);
  // Of questions and of first bytes there is a burst of events, and then some in a second, as of
  // refusals; but more of those that went their way.
  void add_query(Time time, const QueryEvent& query);
  void add_gate(Time time, const GateEvent& gate);
  // So many of each that went their way will have none, for want of room.
  void leave_out(std::uint64_t queries, std::uint64_t gates);
  // So many flows were refused for this reason without a record of their own.
  void leave_out_refusals(policy::Verdict verdict, std::uint64_t count) {
    refusals_.leave_out(static_cast<std::size_t>(verdict), count);
  }
  // So many events are lost for all readers, for whoever was to tell them had no room.
  void lose(std::uint64_t count) {
    sequence_ += count;
    lost_before_ += count;
  }
  // The file anew, under its name: it may have been moved away. Else the old one goes on.
  [[nodiscard]] std::expected<void, sys::SysError> reopen_file(const std::string& path) {
    return file_ ? file_->reopen(path) : std::expected<void, sys::SysError>{};
  }
  // A file of root's becomes this user's.
  void give_file_to(uid_t uid, gid_t gid) const {
    if (file_) file_->give_to(uid, gid);
  }
  // The last word. What is missing, or was left out, is told before it.
  void end(Time time, int status);

  void flush_if_due(Instant now) {
    if (file_) file_->flush_if_due(now);
  }
  [[nodiscard]] Instant next_flush() const { return file_ ? file_->next_flush() : kNever; }
  // Events that the file did not get, or a subscriber that is there.
  [[nodiscard]] std::uint64_t lost() const;
  // ... or one that has gone.
  [[nodiscard]] std::uint64_t lost_ever() const { return lost() + lost_by_gone_; }

 private:
  // Each has reasons of its own.
  enum class Kind : std::uint8_t { kFlow, kQuery, kGate };
  [[nodiscard]] RefusalRate& rate_of(Kind kind);
  void tell_left_out(Kind kind, std::size_t reason, Time time);
  void hand_out(const EventHead& head);

  std::string run_;
  std::optional<EventFile> file_;
  std::vector<EventQueue*> subscribers_;
  std::uint64_t sequence_ = 0;  // Of the last event.
  std::uint64_t lost_by_gone_ = 0;
  std::uint64_t lost_before_ = 0;  // They never came here.
  fmt::memory_buffer line_;
  static constexpr RefusalRate::Accepted kOfSight{.burst = 1000, .per_second = 100};
  RefusalRate refusals_;
  RefusalRate queries_{kOfSight};
  RefusalRate gates_{kOfSight};
};

}  // namespace sluice::telemetry
