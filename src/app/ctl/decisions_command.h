// `sluice decisions`: what was answered for always, and forgetting it.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"

namespace sluice::app {

[[nodiscard]] std::expected<int, EarlyExit> start_decisions(std::span<const char* const> arguments);

}  // namespace sluice::app
