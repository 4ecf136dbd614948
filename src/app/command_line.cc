#include "app/command_line.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "app/help.h"
#include "app/suggestion.h"

namespace sluice::app {
namespace {

EarlyExit mistake(std::string_view message) {
  return {fmt::format("sluice: {}; see 'sluice --help'\n", message), 2};
}

EarlyExit unknown(std::string_view word) {
  constexpr std::array<std::string_view, 4> kWords{"run", "help", "--help", "--version"};
  const std::string_view near = nearest(word, kWords);
  const std::string_view kind = word.starts_with('-') ? "option" : "command";
  if (near.empty()) return mistake(fmt::format("unknown {} '{}'", kind, word));
  return mistake(fmt::format("unknown {} '{}'; did you mean '{}'?", kind, word, near));
}

EarlyExit help_for(std::span<const char* const> words) {
  if (words.empty()) return {main_help(), 0};
  if (std::string_view(words[0]) == "run") return {run_help(), 0};
  if (std::string_view(words[0]) == "help") return {main_help(), 0};
  return unknown(words[0]);
}

}  // namespace

std::expected<std::span<const char* const>, EarlyExit> parse_command_line(
    std::span<const char* const> arguments) {
  if (arguments.empty()) {
    return std::unexpected(mistake("no command; expected one, as in 'sluice run -- curl …'"));
  }
  const std::string_view word(arguments[0]);
  const auto rest = arguments.subspan(1);
  if (word == "run") return rest;
  if (word == "help") return std::unexpected(help_for(rest));
  if (word == "--help" || word == "-h") return std::unexpected(EarlyExit{main_help(), 0});
  if (word == "--version" || word == "-V") return std::unexpected(EarlyExit{version_text(), 0});
  return std::unexpected(unknown(word));
}

}  // namespace sluice::app
