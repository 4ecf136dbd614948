// The files that a guest's worker writes for people: report, flow log, events, capture, timeline.
// All are open before anything is started, so that a mistake ends there with nothing to undo. Not
// thread-safe.
#pragma once

#include <cstdio>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "link/pcap_file.h"
#include "serve/learn/learned_file.h"
#include "telemetry/events/event_stream.h"
#include "telemetry/flow_log.h"
#include "telemetry/snapshot.h"
#include "telemetry/trace/trace_session.h"
#include "telemetry/trace/trace_target.h"

namespace sluice::serve {

struct OutputPlan {
  telemetry::ReportFormat report = telemetry::ReportFormat::kNone;
  std::string report_file{};  // Empty: standard error.
  std::string flow_log{};     // Empty: none; as are the next two.
  std::string events{};
  std::string pcap{};
  LearnPlan learn{};
  bool audit = false;                             // What the policy refused was let through.
  const telemetry::TraceTarget* trace = nullptr;  // Null: none.
  std::string trace_file{};                       // Empty: standard error.
};

class Outputs {
 public:
  // Opens what the plan names, and switches the trace points on, as a confined process may not
  // change its code. The error is a sentence that names the option.
  [[nodiscard]] static std::expected<Outputs, std::string> open(OutputPlan plan);

  [[nodiscard]] bool wants_report() const { return plan_.report != telemetry::ReportFormat::kNone; }
  // For those that write them; once.
  [[nodiscard]] std::optional<link::PcapFile> take_pcap() { return std::exchange(pcap_, {}); }
  [[nodiscard]] std::optional<telemetry::FlowLog> take_flow_log() {
    return std::exchange(flow_log_, {});
  }

  // Whom the guest talks to is noted here; null: nobody wants to know.
  [[nodiscard]] telemetry::Usage* usage() { return learned_ ? &learned_->usage() : nullptr; }

  // Of this run. Stays where it is while this does.
  [[nodiscard]] telemetry::EventStream& events() { return events_; }

  // The guest has ended: writes the report, the timeline and what was learnt, and says on standard
  // error which names it was refused, or would have been.
  void finish(const telemetry::Snapshot& snapshot);

 private:
  struct Closer {
    void operator()(std::FILE* file) const {
      if (file != stderr) (void)std::fclose(file);
    }
  };

  Outputs(OutputPlan plan, std::string run) : plan_(std::move(plan)), events_(std::move(run)) {}
  [[nodiscard]] std::expected<void, std::string> open_files();
  [[nodiscard]] std::expected<void, std::string> start_trace();
  void finish_learning();

  OutputPlan plan_;
  std::optional<link::PcapFile> pcap_;
  std::optional<telemetry::FlowLog> flow_log_;
  telemetry::EventStream events_;
  std::unique_ptr<std::FILE, Closer> report_{stderr};
  std::optional<telemetry::TraceSession> trace_;
  std::optional<LearnedFile> learned_;
};

}  // namespace sluice::serve
