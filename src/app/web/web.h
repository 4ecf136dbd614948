// `sluice web`: the page on which people see what runs, and change it.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"

namespace sluice::app {

// Serves until it is told to end. Returns the exit status.
[[nodiscard]] std::expected<int, EarlyExit> start_web(std::span<const char* const> arguments);

}  // namespace sluice::app
