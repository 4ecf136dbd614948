// `sluice run`: a command in a namespace of its own, whose network is us.
#pragma once

#include <expected>
#include <span>

#include "app/options/early_exit.h"
#include "app/run/run_options.h"

namespace sluice::app {

// Blocks until the command has ended. Returns the exit status for the shell: the command's own,
// 128 + N if signal N ended it, 125 if we failed, 126 if the command cannot be executed, 127 if
// it was not found. Errors have been printed.
[[nodiscard]] int run_command(const RunOptions& options);

// The same from its words, those after "run".
[[nodiscard]] std::expected<int, EarlyExit> start_run(std::span<const char* const> arguments);

}  // namespace sluice::app
