// What `sluice run` was asked to do: every option, checked, with defaults filled in.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/guest/guest_options.h"
#include "app/options/early_exit.h"
#include "policy/fast_path_use.h"

namespace sluice::app {

inline constexpr std::uint16_t kMtuDefault = 1500;  // Offloads make larger ones unnecessary.

struct RunOptions : GuestOptions {
  std::string interface = "tap0";
  policy::FastPathUse fast_path = policy::FastPathUse::kAuto;  // --fast-path
  bool as_root = false;                                        // --as-root
  bool pid_namespace = false;                                  // --pid
  std::vector<std::string> command;  // Never empty: the user's shell if none was named.
};

// `arguments` are those after "run". `shell` is what to start if no command is named; a program
// passes getenv("SHELL"), and /bin/sh stands in if it is empty.
[[nodiscard]] std::expected<RunOptions, EarlyExit> parse_run_options(
    std::span<const char* const> arguments, std::string_view shell);

}  // namespace sluice::app
