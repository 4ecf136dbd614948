// The end of a command line that leaves nothing to run.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace sluice::app {

// Print `text` and leave. Exit code 0 (--help, --version) is for standard output, 2 (a bad option)
// for standard error.
struct EarlyExit {
  std::string text;
  int exit_code = 0;
};

// One line with the way to help: "sluice run: MESSAGE; see …", exit code 2.
[[nodiscard]] inline EarlyExit usage_error(std::string_view message) {
  return {fmt::format("sluice run: {}; see 'sluice run --help'\n", message), 2};
}

}  // namespace sluice::app
