// `sluice top`: the flows of a run on a terminal, by name, as they are each second.
#pragma once

#include <expected>
#include <span>
#include <string>

#include "app/options/early_exit.h"

namespace sluice::app {

struct TopOptions {
  std::string run;    // Empty: the only one.
  bool once = false;  // One look, as text.
};

[[nodiscard]] std::expected<TopOptions, EarlyExit> parse_top_options(
    std::span<const char* const> arguments);

// Returns the exit status.
[[nodiscard]] std::expected<int, EarlyExit> start_top(std::span<const char* const> arguments);

}  // namespace sluice::app
