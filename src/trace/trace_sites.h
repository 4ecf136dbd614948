// Switches the sites of trace/probe.h on and off. On x86-64 this rewrites the program's own code,
// so do it while there is one thread, and before the sandbox forbids it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

#include "trace/trace_event.h"
#include "trace/trace_ring.h"

namespace sluice::trace {

// In the section sluice_trace_sites; distances are from the field itself.
struct TraceSite {
  std::int32_t code;    // To the nop.
  std::int32_t target;  // To where it jumps when it is on.
  std::uint32_t event;
};

struct TraceError {
  std::string_view what;  // Of the step that failed; what it means is said there.
  int error = 0;          // errno, or 0.
};

// From now on `events` are written to `ring`, which is not owned. On an error nothing is changed.
[[nodiscard]] std::expected<void, TraceError> start_trace(TraceRing& ring, TraceEvents events);

// All sites are off again.
[[nodiscard]] std::expected<void, TraceError> stop_trace();

// How many there are in this program; 0 where sites are flags, or without probes.
[[nodiscard]] std::size_t trace_site_count();

}  // namespace sluice::trace
