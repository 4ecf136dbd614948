// What --help and --version print.
#pragma once

#include <optional>
#include <string>

#include "app/options/command.h"
#include "app/options/early_exit.h"
#include "app/options/raw_options.h"

namespace sluice::app {

[[nodiscard]] std::string main_help();
[[nodiscard]] std::string command_help(const Command& command);
[[nodiscard]] std::string version_text();

// What to print if --help or --version was given.
[[nodiscard]] std::optional<EarlyExit> help_or_version(const Command& command,
                                                       const RawOptions& raw);

}  // namespace sluice::app
