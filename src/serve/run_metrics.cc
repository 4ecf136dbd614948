#include "serve/run_metrics.h"

#include "serve/ask/ask_desk.h"
#include "telemetry/metrics/metrics_text.h"

namespace sluice::serve {

namespace {

[[nodiscard]] telemetry::AskMetrics asked_of(const AskDesk* desk) {
  if (desk == nullptr) return {};
  const AskCounters& counters = desk->counters();
  return {.pending = desk->questions().waiting(),
          .answers = {{"", "approved", counters.approved},
                      {"", "refused", counters.refused},
                      {"", "timeout", counters.timeout},
                      {"", "nobody", counters.nobody},
                      {"", "queue-full", counters.queue_full}}};
}

}  // namespace

void RunMetricsSource::append(fmt::memory_buffer& out) {
  telemetry::append_metrics(out, {.program = program_,
                                  .version = SLUICE_VERSION,
                                  .totals = workers_.totals(),
                                  .snapshot = workers_.snapshot(),
                                  .generation = control_.generation(),
                                  .rules = control_.rules(),
                                  .events_lost = events_.lost_ever(),
                                  .ask = asked_of(control_.desk())});
}

}  // namespace sluice::serve
