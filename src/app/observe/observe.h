// `sluice observe`: shows the events of a run that lives, or of a file that `--events` writes, as
// they come.
#pragma once

#include <expected>
#include <span>
#include <string>

#include "app/options/early_exit.h"
#include "telemetry/events/event_filter.h"

namespace sluice::app {

struct ObserveOptions {
  std::string what;     // A run or a file; "-": standard input; empty: the only run.
  bool follow = false;  // Of a file: wait for what is appended.
  bool json = false;    // Lines as they are.
  telemetry::EventFilter filter;
};

[[nodiscard]] std::expected<ObserveOptions, EarlyExit> parse_observe_options(
    std::span<const char* const> arguments);

// Returns the exit status.
[[nodiscard]] std::expected<int, EarlyExit> start_observe(std::span<const char* const> arguments);

}  // namespace sluice::app
