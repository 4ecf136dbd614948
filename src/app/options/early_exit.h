// The end of a command line that leaves nothing to run.
#pragma once

#include <fmt/core.h>

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::app {

// Print `text` and leave. Exit code 0 (--help, --version) is for standard output, any other for
// standard error.
struct EarlyExit {
  std::string text;
  int exit_code = 0;
};

// What is wrong with a command line, by the part that found it; who says it is not known there.
struct Mistake {
  std::string text;
};

template <typename... Args>
[[nodiscard]] std::unexpected<Mistake> fail(fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Mistake{fmt::format(format, std::forward<Args>(args)...)});
}

// One line with the way to help: "sluice run: MESSAGE; see 'sluice run --help'", exit code 2.
[[nodiscard]] inline EarlyExit usage_error(std::string_view program, const Mistake& mistake) {
  return {fmt::format("{0}: {1}; see '{0} --help'\n", program, mistake.text), 2};
}

}  // namespace sluice::app
