// A command line taken apart, not yet understood. The only part that knows CLI11.
#pragma once

#include <array>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "app/options/command.h"
#include "app/options/early_exit.h"
#include "app/options/option_table.h"

namespace sluice::app {

struct RawOptions {
  // By OptionId, in the order of the command line. A flag that was given has one empty text.
  std::array<std::vector<std::string>, static_cast<std::size_t>(OptionId::kCount)> values;
  std::vector<std::string> words;  // Those that belong to no option.

  [[nodiscard]] const std::vector<std::string>& all(OptionId id) const {
    return values[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] bool has(OptionId id) const { return !all(id).empty(); }
};

// A lone "--" ends the options. Of WordsAre::kCommandLine, the first word that is none does so too,
// and the rest is untouched.
[[nodiscard]] std::expected<RawOptions, Mistake> split_arguments(
    const Command& command, std::span<const char* const> arguments);

}  // namespace sluice::app
