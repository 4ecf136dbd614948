#include "config/toml_value.h"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <fmt/core.h>
#include <toml++/toml.h>

#include <algorithm>
#include <optional>

#include "base/overloaded.h"

namespace sluice::config {
namespace {

TomlTable convert_table(const toml::table& table);

TomlValue convert(const toml::node& node) {
  TomlValue out;
  out.line = static_cast<unsigned>(node.source().begin.line);
  if (const auto* boolean = node.as_boolean()) {
    out.data = boolean->get();
  } else if (const auto* integer = node.as_integer()) {
    out.data = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    out.data = number->get();
  } else if (const auto* text = node.as_string()) {
    out.data = text->get();
  } else if (const auto* array = node.as_array()) {
    TomlArray values;
    values.reserve(array->size());
    for (const toml::node& element : *array) values.push_back(convert(element));
    out.data = std::move(values);
  } else if (const auto* table = node.as_table()) {
    out.data = convert_table(*table);
  } else {
    out.data = TomlTime{};
  }
  return out;
}

// The library sorts by key; people read by place.
TomlTable convert_table(const toml::table& table) {
  struct Placed {
    toml::source_position at;
    TomlEntry entry;
  };
  std::vector<Placed> placed;
  placed.reserve(table.size());
  for (const auto& [key, node] : table) {
    const toml::source_position at = key.source().begin;
    placed.push_back({at, {std::string(key.str()), static_cast<unsigned>(at.line), convert(node)}});
  }
  std::sort(placed.begin(), placed.end(),
            [](const Placed& a, const Placed& b) { return a.at < b.at; });
  TomlTable out;
  out.reserve(placed.size());
  for (Placed& one : placed) out.push_back(std::move(one.entry));
  return out;
}

// TOML 1.0 allows none of them anywhere but tab and the ends of lines. The library finds most, but
// some, as in "[[ \x1f", trip an assertion of its own.
std::optional<TomlError> find_control_character(std::string_view text) {
  unsigned line = 1;
  for (const char byte : text) {
    if (byte == '\n') ++line;
    const auto value = static_cast<unsigned char>(byte);
    const bool allowed = value >= 0x20 || byte == '\n' || byte == '\r' || byte == '\t';
    if (!allowed || value == 0x7f) {
      return TomlError{line, fmt::format("a control character, 0x{:02x}; expected text", value)};
    }
  }
  return std::nullopt;
}

}  // namespace

std::expected<TomlTable, TomlError> parse_toml(std::string_view text) {
  if (auto found = find_control_character(text)) return std::unexpected(std::move(*found));
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return std::unexpected(TomlError{static_cast<unsigned>(error.source().begin.line),
                                     std::string(error.description())});
  }
  return convert_table(parsed.table());
}

std::string_view kind_of(const TomlValue& value) {
  return std::visit(Overloaded{
                        [](bool) { return std::string_view("a boolean"); },
                        [](std::int64_t) { return std::string_view("an integer"); },
                        [](double) { return std::string_view("a fraction"); },
                        [](const std::string&) { return std::string_view("a string"); },
                        [](TomlTime) { return std::string_view("a date or time"); },
                        [](const TomlArray&) { return std::string_view("an array"); },
                        [](const TomlTable&) { return std::string_view("a table"); },
                    },
                    value.data);
}

}  // namespace sluice::config
