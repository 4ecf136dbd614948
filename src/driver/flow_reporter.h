// Turns what the engine says about ended flows into records: for the report and the flow log.
// Adds the wall clock and the name that the guest asked for. Not thread-safe.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "flow/core/flow_summary.h"
#include "telemetry/flow_log.h"
#include "telemetry/flow_record.h"
#include "telemetry/report.h"

namespace sluice::driver {

class FlowReporter {
 public:
  // `now` and the present wall time are the same moment.
  FlowReporter(Instant now, bool keep_report, std::optional<telemetry::FlowLog> log);

  void add(const flow::FlowSummary& summary, std::string_view name);

  // When to call flush_if_due() next.
  [[nodiscard]] Instant next_wakeup(Instant now) const {
    return log_ && log_->pending() ? now + std::chrono::seconds(1) : kNever;
  }
  void flush_if_due(Instant now) {
    if (log_) log_->flush_if_due(now);
  }
  void finish() {
    if (log_) log_->finish();
  }
  [[nodiscard]] const std::optional<telemetry::Report>& report() const { return report_; }

 private:
  Instant start_;
  std::chrono::system_clock::time_point wall_start_;
  std::optional<telemetry::Report> report_;
  std::optional<telemetry::FlowLog> log_;
};

}  // namespace sluice::driver
