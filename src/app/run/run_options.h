// What `sluice run` was asked to do: every option, checked, with defaults filled in.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/guest/namespace_options.h"
#include "app/options/early_exit.h"

namespace sluice::app {

struct RunOptions : NamespaceOptions {
  bool as_root = false;              // --as-root
  bool pid_namespace = false;        // --pid
  std::vector<std::string> command;  // Never empty: the user's shell if none was named.
};

// `arguments` are those after "run". `shell` is what to start if no command is named; a program
// passes getenv("SHELL"), and /bin/sh stands in if it is empty.
[[nodiscard]] std::expected<RunOptions, EarlyExit> parse_run_options(
    std::span<const char* const> arguments, std::string_view shell);

}  // namespace sluice::app
