#include "app/options/raw_options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "base/suggestion.h"

namespace sluice::app {
namespace {

// "-p,--publish" is spoken of as "--publish", "-4,--ipv4-only" as "--ipv4-only".
std::string_view long_name(const OptionSpec& spec) {
  return spec.names.substr(spec.names.find("--"));
}

void declare(CLI::App& parser, const OptionSpec& spec, std::vector<std::string>& values) {
  const std::string names(spec.names);
  switch (spec.kind) {
    case OptionKind::kFlag:
      parser.add_flag_callback(names, [&values] { values.assign(1, ""); })->disable_flag_override();
      return;
    case OptionKind::kOptionalValue:
      // A flag takes a value only behind '=', so "--report json" runs a command named json.
      parser.add_flag(names + "{text}", values)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
      return;
    case OptionKind::kOptionalList:
      parser.add_flag(names + "{@default}", values)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      return;
    case OptionKind::kValue:
    case OptionKind::kList: parser.add_option(names, values)->allow_extra_args(false); return;
  }
}

Mistake unknown_option(const Command& command, std::string_view word) {
  const std::string_view name = word.substr(0, word.find('='));
  std::vector<std::string_view> known;
  known.reserve(command.options.size());
  for (const OptionSpec& spec : command.options) known.push_back(long_name(spec));
  const std::string_view near = nearest(name, known);
  if (near.empty()) return {fmt::format("unknown option '{}'", name)};
  return {fmt::format("unknown option '{}'; did you mean '{}'?", name, near)};
}

Mistake value_missing(const OptionSpec& spec) {
  return {fmt::format("{}: a value is missing; expected {}", long_name(spec), spec.value)};
}

// CLI11 begins its messages with the option's name, with or without dashes.
Mistake explain(const Command& command, const CLI::ParseError& error) {
  const std::string_view what(error.what());
  for (const OptionSpec& spec : command.options) {
    const std::string_view name = long_name(spec);
    const bool is_named = what.starts_with(fmt::format("{}:", name)) ||
                          what.starts_with(fmt::format("{} ", name.substr(2)));
    if (!is_named) continue;
    if (spec.kind == OptionKind::kFlag) return {fmt::format("{}: takes no value", name)};
    return value_missing(spec);
  }
  return {std::string(what)};
}

const OptionSpec* find_option(const Command& command, std::string_view name) {
  for (const OptionSpec& spec : command.options) {
    const bool is_short = spec.names.find(',') == 2 && name == spec.names.substr(0, 2);
    if (name == long_name(spec) || is_short) return &spec;
  }
  return nullptr;
}

// The option that stands as "--pcap=" with nothing behind. CLI11 would take the next word for its
// value, which is the command.
const OptionSpec* find_empty_value(const Command& command, std::span<const char* const> arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word(arguments[i]);
    if (word == "--") return nullptr;
    if (!word.starts_with('-')) {
      if (command.words == WordsAre::kCommandLine) return nullptr;
      continue;
    }
    const std::size_t equals = word.find('=');
    const OptionSpec* const spec = find_option(command, word.substr(0, equals));
    if (spec == nullptr) continue;
    if (spec->kind != OptionKind::kValue && spec->kind != OptionKind::kList) continue;
    if (equals == std::string_view::npos) {
      ++i;  // The next word is the value.
    } else if (equals + 1 == word.size()) {
      return spec;
    }
  }
  return nullptr;
}

// CLI11 leaves what is no option of ours, and the "--".
std::expected<std::vector<std::string>, Mistake> operands(const Command& command,
                                                          std::vector<std::string> left) {
  for (auto word = left.begin(); word != left.end(); ++word) {
    if (*word == "--") {
      left.erase(word);
      break;
    }
    if (word->size() > 1 && word->starts_with('-')) {
      return std::unexpected(unknown_option(command, *word));
    }
    if (command.words == WordsAre::kCommandLine) break;
  }
  return left;
}

}  // namespace

std::expected<RawOptions, Mistake> split_arguments(const Command& command,
                                                   std::span<const char* const> arguments) {
  if (const OptionSpec* const spec = find_empty_value(command, arguments)) {
    return std::unexpected(value_missing(*spec));
  }
  CLI::App parser;
  parser.set_help_flag();
  if (command.words == WordsAre::kCommandLine) {
    parser.prefix_command();
  } else {
    parser.allow_extras();
  }
  RawOptions raw;
  for (const OptionSpec& spec : command.options) {
    declare(parser, spec, raw.values[static_cast<std::size_t>(spec.id)]);
  }

  // CLI11 takes the words from the back of the list.
  std::vector<std::string> words(arguments.rbegin(), arguments.rend());
  try {
    parser.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return std::unexpected(explain(command, error));
  }
  auto left = operands(command, parser.remaining());
  if (!left) return std::unexpected(std::move(left.error()));
  raw.words = std::move(*left);
  return raw;
}

}  // namespace sluice::app
