#include "app/options/help.h"

#include <fmt/core.h>

#include <iterator>
#include <string_view>

#include "app/options/option_table.h"

namespace sluice::app {
namespace {

constexpr std::size_t kHelpColumn = 26;

// "-p,--publish" and its value as "  -p, --publish [ADDR:]HOST:GUEST[/udp]".
std::string heading(const OptionSpec& spec) {
  const std::size_t comma = spec.names.find(',');
  std::string text = "  ";
  if (comma == std::string_view::npos) {
    text += fmt::format("    {}", spec.names);
  } else {
    text += fmt::format("{}, {}", spec.names.substr(0, comma), spec.names.substr(comma + 1));
  }
  switch (spec.kind) {
    case OptionKind::kFlag: break;
    case OptionKind::kOptionalList:
    case OptionKind::kOptionalValue: text += fmt::format("[={}]", spec.value); break;
    case OptionKind::kValue:
    case OptionKind::kList: text += fmt::format(" {}", spec.value); break;
  }
  return text;
}

void append_option(std::string& out, const OptionSpec& spec) {
  std::string line = heading(spec);
  if (line.size() + 2 > kHelpColumn) {
    out += line + "\n";
    line.clear();
  }
  std::string_view help = spec.help;
  while (!help.empty()) {
    const std::size_t end = help.find('\n');
    fmt::format_to(std::back_inserter(out), "{:<{}}{}\n", line, kHelpColumn, help.substr(0, end));
    line.clear();
    help.remove_prefix(end == std::string_view::npos ? help.size() : end + 1);
  }
}

// "Usage: sluice run …", and below it the other ways.
void append_usage(std::string& out, const Command& command, std::string_view lead) {
  std::string_view usage = command.usage;
  while (!usage.empty()) {
    const std::size_t end = usage.find('\n');
    fmt::format_to(std::back_inserter(out), "{}{} {}\n", lead, command.program,
                   usage.substr(0, end));
    lead = "       ";
    usage.remove_prefix(end == std::string_view::npos ? usage.size() : end + 1);
  }
}

}  // namespace

std::string command_help(const Command& command) {
  std::string text;
  append_usage(text, command, "Usage: ");
  text += fmt::format("\n{}", command.introduction);
  std::string_view group;
  for (const OptionSpec& spec : command.options) {
    if (spec.group != group) {
      group = spec.group;
      text += fmt::format("\n{}:\n", group);
    }
    append_option(text, spec);
  }
  text += command.ending;
  return text;
}

std::string main_help() {
  std::string text;
  std::string_view lead = "Usage: ";
  for (const Command* const command : all_commands()) {
    append_usage(text, *command, lead);
    lead = "       ";
  }
  text +=
      R"(       sluice help [COMMAND]
       sluice --version

User-mode networking: a network for a command or a machine, and ports forwarded.

Commands:
)";
  for (const Command* const command : all_commands()) {
    text += fmt::format("  {:<11}{}\n", command->name, command->summary);
  }
  text += R"(  help       print this, or the help of a command

'sluice help COMMAND' lists its options and has examples.
)";
  return text;
}

std::string version_text() { return "sluice " SLUICE_VERSION "\n"; }

std::optional<EarlyExit> help_or_version(const Command& command, const RawOptions& raw) {
  if (raw.has(OptionId::kHelp)) return EarlyExit{command_help(command), 0};
  if (raw.has(OptionId::kVersion)) return EarlyExit{version_text(), 0};
  return std::nullopt;
}

}  // namespace sluice::app
