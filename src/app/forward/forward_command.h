// `sluice forward`: ports of this machine, led elsewhere.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"

namespace sluice::app {

// `words` is the whole command line, argv[0] first, `arguments` its part behind "forward". Blocks
// until the forwarder has ended, and returns the exit status: 0 after a drain or a check, 1 when it
// could not start, 2 when the configuration is wrong. Errors have been printed.
[[nodiscard]] std::expected<int, EarlyExit> start_forward(std::span<const char* const> words,
                                                          std::span<const char* const> arguments);

}  // namespace sluice::app
