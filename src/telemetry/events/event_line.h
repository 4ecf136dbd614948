// An event as one line: an object of JSON (RFC 8259), as docs/events.md has it. Whatever bytes a
// guest chose for a name, the line is valid, is one line, and is safe to be shown by a terminal.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <string_view>

#include "telemetry/events/event.h"
#include "telemetry/json_line.h"

namespace sluice::telemetry {

// What each line begins with.
struct EventHead {
  std::uint64_t sequence = 0;
  std::chrono::system_clock::time_point time;
  std::string_view run;  // Names the run; our own, and so needs no escapes.
};

// Behind what `out` holds, with a newline.
void append_event(fmt::memory_buffer& out, const EventHead& head, const Event& event);
// The members of a flow as it is, or has ended, as in a line of its end.
void add_flow(JsonLine& line, const FlowRecord& flow);
// That `count` events are missing, of which the last had the head's number.
void append_lost(fmt::memory_buffer& out, const EventHead& head, std::uint64_t count);

// Names longer than this are cut, and end in "...": no host has one.
inline constexpr std::size_t kNameShown = 255;
// Ids of rules longer than this are cut.
inline constexpr std::size_t kRuleShown = 128;
// ... and what is wrong with a configuration: the rest of it is in the log.
inline constexpr std::size_t kErrorShown = 1024;

}  // namespace sluice::telemetry
