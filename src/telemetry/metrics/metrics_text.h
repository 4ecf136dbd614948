// The metrics of a run: docs/metrics.md has them. None has a name or an address as a label.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "telemetry/metrics/totals.h"
#include "telemetry/snapshot.h"

namespace sluice::telemetry {

// What people were asked about.
struct AskMetrics {
  std::uint64_t pending = 0;           // Questions that wait.
  std::vector<ResultCount> answers{};  // They have no kind.
};

struct RunMetrics {
  std::string_view program;  // "sluice run"
  std::string_view version;
  const Totals& totals;
  const Snapshot& snapshot;
  std::uint64_t generation = 1;  // Of the policy.
  std::uint64_t rules = 0;       // ... and how many it has.
  std::uint64_t events_lost = 0;
  AskMetrics ask{};
};

// Behind what `out` holds.
void append_metrics(fmt::memory_buffer& out, const RunMetrics& run);

}  // namespace sluice::telemetry
