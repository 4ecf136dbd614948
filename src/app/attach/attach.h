// `sluice attach`: the network of a namespace that is there already.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"

namespace sluice::app {

// Blocks until the namespace has ended, or returns once its network is there (--background).
// Returns the exit status: 0, or 125 if we failed. `arguments` are those after "attach".
[[nodiscard]] std::expected<int, EarlyExit> start_attach(std::span<const char* const> arguments);

}  // namespace sluice::app
