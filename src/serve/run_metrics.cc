#include "serve/run_metrics.h"

#include "telemetry/metrics/metrics_text.h"

namespace sluice::serve {

void RunMetricsSource::append(fmt::memory_buffer& out) {
  telemetry::append_metrics(out, {.program = program_,
                                  .version = SLUICE_VERSION,
                                  .totals = workers_.totals(),
                                  .snapshot = workers_.snapshot(),
                                  .generation = control_.generation(),
                                  .rules = control_.rules(),
                                  .events_lost = events_.lost_ever()});
}

}  // namespace sluice::serve
