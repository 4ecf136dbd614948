// What the latency clients do alike around their own loops.
#pragma once

#include "clients/latency_options.h"
#include "clients/pacing.h"
#include "clients/sockets.h"
#include "clients/summary.h"

namespace sluice::bench {

// Has `run(work)` keep the schedule of --rate, prints what came of it, and returns the program's
// exit status.
template <typename Run>
[[nodiscard]] int run_at_rate(const LatencyOptions& options, Run run) {
  wake_on_time();
  PacedWork work(Schedule(now_ns(), options.rate), options.total, options.flows,
                 options.timeout_ns);
  run(work);
  return print_paced(work, options.flows, options.json) ? 0 : 1;
}

}  // namespace sluice::bench
