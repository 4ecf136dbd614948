#include "app/raw_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/suggestion.h"

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
    case OptionKind::kValue:
    case OptionKind::kList: parser.add_option(names, values)->allow_extra_args(false); return;
  }
}

EarlyExit unknown_option(std::string_view word) {
  const std::string_view name = word.substr(0, word.find('='));
  std::vector<std::string_view> known;
  known.reserve(std::size(kRunOptions));
  for (const OptionSpec& spec : kRunOptions) known.push_back(long_name(spec));
  const std::string_view near = nearest(name, known);
  if (near.empty()) return usage_error(fmt::format("unknown option '{}'", name));
  return usage_error(fmt::format("unknown option '{}'; did you mean '{}'?", name, near));
}

EarlyExit value_missing(const OptionSpec& spec) {
  return usage_error(
      fmt::format("{}: a value is missing; expected {}", long_name(spec), spec.value));
}

// CLI11 begins its messages with the option's name, with or without dashes.
EarlyExit explain(const CLI::ParseError& error) {
  const std::string_view what(error.what());
  for (const OptionSpec& spec : kRunOptions) {
    const std::string_view name = long_name(spec);
    const bool is_named = what.starts_with(fmt::format("{}:", name)) ||
                          what.starts_with(fmt::format("{} ", name.substr(2)));
    if (!is_named) continue;
    if (spec.kind == OptionKind::kFlag) return usage_error(fmt::format("{}: takes no value", name));
    return value_missing(spec);
  }
  return usage_error(what);
}

const OptionSpec* find_option(std::string_view name) {
  for (const OptionSpec& spec : kRunOptions) {
    const bool is_short = spec.names.find(',') == 2 && name == spec.names.substr(0, 2);
    if (name == long_name(spec) || is_short) return &spec;
  }
  return nullptr;
}

// The option that stands as "--pcap=" with nothing behind. CLI11 would take the next word for its
// value, which is the command.
const OptionSpec* find_empty_value(std::span<const char* const> arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word(arguments[i]);
    if (!word.starts_with('-') || word == "--") return nullptr;
    const std::size_t equals = word.find('=');
    const OptionSpec* const spec = find_option(word.substr(0, equals));
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

}  // namespace

std::expected<RawOptions, EarlyExit> split_arguments(std::span<const char* const> arguments) {
  if (const OptionSpec* const spec = find_empty_value(arguments)) {
    return std::unexpected(value_missing(*spec));
  }
  CLI::App parser;
  parser.set_help_flag();
  parser.prefix_command();
  RawOptions raw;
  for (const OptionSpec& spec : kRunOptions) {
    declare(parser, spec, raw.values[static_cast<std::size_t>(spec.id)]);
  }

  // CLI11 takes the words from the back of the list.
  std::vector<std::string> words(arguments.rbegin(), arguments.rend());
  try {
    parser.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return std::unexpected(explain(error));
  }
  raw.command = parser.remaining();
  if (raw.command.empty()) return raw;
  const std::string& first = raw.command.front();
  if (first == "--") {
    raw.command.erase(raw.command.begin());
  } else if (first.size() > 1 && first[0] == '-') {
    return std::unexpected(unknown_option(first));
  }
  return raw;
}

}  // namespace sluice::app
