// Turns what the engine says about flows into records: for the report and the flow log, which hear
// of those that have ended, and for the event stream, which hears of their beginning, too. Adds the
// wall clock and the name that the guest asked for. Not thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "flow/core/flow_summary.h"
#include "telemetry/events/event_stream.h"
#include "telemetry/flow_log.h"
#include "telemetry/flow_record.h"
#include "telemetry/report.h"

namespace sluice::driver {

class FlowReporter {
 public:
  // `now` and the present wall time are the same moment. `events` is not owned; null: none.
  FlowReporter(Instant now, bool keep_report, std::optional<telemetry::FlowLog> log,
               telemetry::EventStream* events = nullptr);

  void add(const flow::FlowSummary& summary, std::string_view name);
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
};

}  // namespace sluice::driver
