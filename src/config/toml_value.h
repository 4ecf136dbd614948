// A TOML document (toml.io, 1.0) as plain values with their lines. The only part that knows the
// library that parses it.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sluice::config {

struct TomlValue;
struct TomlEntry;
using TomlArray = std::vector<TomlValue>;
using TomlTable = std::vector<TomlEntry>;  // In the order of the file.
struct TomlTime {};                        // Dates and times: no setting is one.

struct TomlValue {
  std::variant<bool, std::int64_t, double, std::string, TomlTime, TomlArray, TomlTable> data;
  unsigned line = 0;
};

struct TomlEntry {
  std::string key;
  unsigned line = 0;  // Of the key.
  TomlValue value;
};

struct TomlError {
  unsigned line = 0;
  std::string text;
};

[[nodiscard]] std::expected<TomlTable, TomlError> parse_toml(std::string_view text);

// "a string", "an array", …
[[nodiscard]] std::string_view kind_of(const TomlValue& value);

}  // namespace sluice::config
