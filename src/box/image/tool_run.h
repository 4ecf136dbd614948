// Runs a program of the system's and reads what it says.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/setup_error.h"

namespace sluice::box {

struct ToolCommand {
  std::vector<std::string> words;  // As for execvp().
  std::string directory = "/";
  std::function<void(std::string_view line)> on_line = {};  // As they come, both outputs.
};

// What it said on both outputs, or why it could not be run or failed, with its last line.
[[nodiscard]] std::expected<std::string, sys::SetupError> run_tool(const ToolCommand& command);

}  // namespace sluice::box
