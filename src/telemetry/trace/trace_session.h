// One run of `--trace`: opens the file, switches the trace points on, and writes what they saw.
//
//   auto session = TraceSession::open("crr", "cycle.json");   // before anything is started
//   session->start();                                         // one thread, not yet sandboxed
//   …
//   session->finish();
#pragma once

#include <cstdio>
#include <expected>
#include <memory>
#include <string>

#include "sys/setup_error.h"
#include "sys/sys_error.h"
#include "telemetry/trace/trace_target.h"
#include "trace/trace_ring.h"
#include "trace/trace_sites.h"

namespace sluice::telemetry {

class TraceSession {
 public:
  // A file whose name ends in ".json" gets JSON, any other the text; an empty name is standard
  // error. `target` is one of kTraceTargets.
  [[nodiscard]] static std::expected<TraceSession, sys::SysError> open(const TraceTarget& target,
                                                                       const std::string& file);

  [[nodiscard]] std::expected<void, sys::SetupError> start();
  // Stops nothing, since the sandbox forbids to change code: call it when the work is done.
  [[nodiscard]] std::expected<void, sys::SysError> finish();

 private:
  struct Closer {
    void operator()(std::FILE* file) const {
      if (file != stderr) (void)std::fclose(file);
    }
  };
  using File = std::unique_ptr<std::FILE, Closer>;

  TraceSession(const TraceTarget& target, File file, bool json)
      : target_(&target), file_(std::move(file)), json_(json) {}

  const TraceTarget* target_;  // Static.
  File file_;
  bool json_;
  std::unique_ptr<trace::TraceRing> ring_;  // The trace points keep its address.
};

}  // namespace sluice::telemetry
