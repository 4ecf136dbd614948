// `sluice ctl`: asks a run that serves how it stands, and changes it.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"

namespace sluice::app {

// Returns the exit status: 0; 1 where the run refuses, or there is none.
[[nodiscard]] std::expected<int, EarlyExit> start_ctl(std::span<const char* const> arguments);

}  // namespace sluice::app
