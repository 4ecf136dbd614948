// The first word after "sluice": which command is meant.
#pragma once

#include <expected>
#include <span>

#include "app/early_exit.h"

namespace sluice::app {

// `arguments` are those after the program's name. Returns those after "run", the one command that
// there is; help, version and mistakes are an early exit.
[[nodiscard]] std::expected<std::span<const char* const>, EarlyExit> parse_command_line(
    std::span<const char* const> arguments);

}  // namespace sluice::app
