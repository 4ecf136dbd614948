// What `--trace` can be asked for by name.
#pragma once

#include <array>
#include <string_view>

#include "trace/trace_event.h"

namespace sluice::telemetry {

struct TraceTarget {
  std::string_view name;
  trace::TraceEvents events;
};

inline constexpr std::array kTraceTargets{
    // Connect, request, response: all of a connection's life.
    TraceTarget{"crr", trace::TraceEvents::all()},
};

[[nodiscard]] constexpr const TraceTarget* find_trace_target(std::string_view name) {
  for (const TraceTarget& target : kTraceTargets) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

}  // namespace sluice::telemetry
