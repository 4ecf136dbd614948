// Turns what the engine says about flows into records: for the report and the flow log, which hear
// of those that have ended, and for the event stream, which hears of their beginning, too, and of
// questions for names and first bytes. Adds the wall clock, the name that the guest asked for and
// the rule that decided. Not thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "driver/group/seen.h"
#include "driver/rules_in_force.h"
#include "flow/core/flow_summary.h"
#include "telemetry/events/event_stream.h"
#include "telemetry/flow_log.h"
#include "telemetry/flow_record.h"
#include "telemetry/report.h"
#include "telemetry/usage/usage.h"

namespace sluice::driver {

// Who moves, or moved in the end, the flow's bytes.
[[nodiscard]] inline telemetry::FlowPath path_of(const flow::FlowSummary& summary) {
  if (summary.by_loopback) [[unlikely]]
    return telemetry::FlowPath::kRelay;
  return summary.carried ? telemetry::FlowPath::kKernel : telemetry::FlowPath::kTap;
}

class FlowReporter {
 public:
  // Who else hears of flows, and the policy whose rules are named. Not owned; null: none.
  struct Beside {
    telemetry::EventStream* events = nullptr;
    telemetry::Usage* usage = nullptr;
    const policy::EgressPolicy* policy = nullptr;
  };
  // `now` and the present wall time are the same moment.
  FlowReporter(Instant now, bool keep_report, std::optional<telemetry::FlowLog> log,
               const Beside& beside);
  FlowReporter(Instant now, bool keep_report, std::optional<telemetry::FlowLog> log)
      : FlowReporter(now, keep_report, std::move(log), {}) {}

  void add(const flow::FlowSummary& summary, std::string_view name);
  void add(const Seen& seen, Instant now);
  [[nodiscard]] RulesInForce& rules() { return rules_; }
  // Borrows the name.
  [[nodiscard]] telemetry::FlowRecord record_of(const flow::FlowSummary& summary,
                                                std::string_view name) const;

  // When to call flush_if_due() next.
  [[nodiscard]] Instant next_wakeup(Instant now) const {
    const Instant log = log_ && log_->pending() ? now + std::chrono::seconds(1) : kNever;
    return events_ == nullptr ? log : std::min(log, events_->next_flush());
  }
  void flush_if_due(Instant now) {
    if (log_) log_->flush_if_due(now);
    if (events_ != nullptr) events_->flush_if_due(now);
  }
  void finish() {
    if (log_) log_->finish();
  }
  [[nodiscard]] const std::optional<telemetry::Report>& report() const { return report_; }

 private:
  [[nodiscard]] std::chrono::system_clock::time_point wall_time(Instant at) const {
    return wall_start_ +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(at - start_);
  }

  Instant start_;
  std::chrono::system_clock::time_point wall_start_;
  std::optional<telemetry::Report> report_;
  std::optional<telemetry::FlowLog> log_;
  telemetry::EventStream* events_;
  RulesInForce rules_;
  telemetry::Usage* usage_;
};

}  // namespace sluice::driver
