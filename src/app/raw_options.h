// A command line taken apart, not yet understood. The only part that knows CLI11.
#pragma once

#include <array>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "app/early_exit.h"
#include "app/option_table.h"

namespace sluice::app {

struct RawOptions {
  // By OptionId, in the order of the command line. A flag that was given has one empty text.
  std::array<std::vector<std::string>, kRunOptions.size()> values;
  std::vector<std::string> command;

  [[nodiscard]] const std::vector<std::string>& all(OptionId id) const {
    return values[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] bool has(OptionId id) const { return !all(id).empty(); }
};

// Options end at the first word that is none, or at "--"; the rest is the command, untouched.
[[nodiscard]] std::expected<RawOptions, EarlyExit> split_arguments(
    std::span<const char* const> arguments);

}  // namespace sluice::app
