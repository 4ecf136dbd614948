// `sluice box`: a command in a machine of its own, whose network is us.
#pragma once

#include <expected>
#include <span>
#include <string>

#include "app/box/box_options.h"
#include "app/options/early_exit.h"

namespace sluice::app {

// The plan of it on this machine: paths are absolute, from `folder`, which is the working directory
// of the command unless that has another root or names its own. The error is a sentence.
[[nodiscard]] std::expected<serve::BoxPlan, std::string> box_plan(const BoxOptions& options,
                                                                  const std::string& folder);

// From its words, those after "box". Blocks until the command has ended. Returns the exit status
// for the shell, as `run` has it (run.h). Errors have been printed.
[[nodiscard]] std::expected<int, EarlyExit> start_box(std::span<const char* const> arguments);

}  // namespace sluice::app
