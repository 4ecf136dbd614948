// What a trace looks like in the end: a text for a terminal, and JSON for chrome://tracing and
// Perfetto.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "telemetry/trace/trace_cycles.h"

namespace sluice::telemetry {

struct Trace {
  std::string_view target;
  std::span<const trace::TraceRecord> records;
  std::uint64_t overwritten = 0;  // Records that came before and were lost.
};

// The steps of the median cycle with the gaps between them, what these gaps are over all cycles,
// and which of them is the largest.
[[nodiscard]] std::string trace_text(const Trace& trace);

// Chrome's Trace Event Format: a track for each flow, with a slice for each gap between two steps;
// a track for the worker.
[[nodiscard]] std::string trace_json(const Trace& trace);

}  // namespace sluice::telemetry
