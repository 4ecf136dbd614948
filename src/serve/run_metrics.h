// The metrics of the guest that is served, as they are when somebody asks. In the thread of the
// first worker, between its turns.
#pragma once

#include <string>
#include <utility>

#include "driver/worker_group.h"
#include "serve/metrics/metrics_server.h"
#include "serve/run_control.h"
#include "telemetry/events/event_stream.h"

namespace sluice::serve {

class RunMetricsSource final : public MetricsSource {
 public:
  // `program` is "sluice run". References are not owned.
  RunMetricsSource(std::string program, driver::WorkerGroup& workers,
                   const telemetry::EventStream& events, const RunControl& control)
      : program_(std::move(program)), workers_(workers), events_(events), control_(control) {}

  void append(fmt::memory_buffer& out) override;

 private:
  std::string program_;
  driver::WorkerGroup& workers_;
  const telemetry::EventStream& events_;
  const RunControl& control_;
};

}  // namespace sluice::serve
