#include "app/command_line.h"

#include <fmt/core.h>

#include <vector>

#include "app/options/help.h"
#include "base/suggestion.h"

namespace sluice::app {
namespace {

EarlyExit unknown(std::string_view word) {
  std::vector<std::string_view> known{"help", "--help", "--version"};
  for (const Command* const command : all_commands()) known.push_back(command->name);
  const std::string_view near = nearest(word, known);
  const std::string_view kind = word.starts_with('-') ? "option" : "command";
  if (near.empty()) return usage_error("sluice", {fmt::format("unknown {} '{}'", kind, word)});
  return usage_error("sluice",
                     {fmt::format("unknown {} '{}'; did you mean '{}'?", kind, word, near)});
}

const Command* find_command(std::string_view name) {
  for (const Command* const command : all_commands()) {
    if (command->name == name) return command;
  }
  return nullptr;
}

EarlyExit help_for(std::span<const char* const> words) {
  if (words.empty() || std::string_view(words[0]) == "help") return {main_help(), 0};
  if (const Command* const command = find_command(words[0])) return {command_help(*command), 0};
  return unknown(words[0]);
}

}  // namespace

Program program_called(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (name == "rinetd") return Program::kRinetd;
  if (name == "oi") return Program::kOi;
  if (name == "passt") return Program::kPasst;
  if (name == "pasta") return Program::kPasta;
  if (name == "slirp4netns") return Program::kSlirp4netns;
  return Program::kSluice;
}

std::expected<Invocation, EarlyExit> parse_command_line(std::span<const char* const> arguments) {
  if (arguments.empty()) return std::unexpected(EarlyExit{main_help(), 2});
  const std::string_view word(arguments[0]);
  const auto rest = arguments.subspan(1);
  if (const Command* const command = find_command(word)) return Invocation{command->id, rest};
  if (word == "help") return std::unexpected(help_for(rest));
  if (word == "--help" || word == "-h") return std::unexpected(EarlyExit{main_help(), 0});
  if (word == "--version" || word == "-V") return std::unexpected(EarlyExit{version_text(), 0});
  return std::unexpected(unknown(word));
}

}  // namespace sluice::app
