// Takes settings out of a TOML table: each read is typed, a wrong value becomes an error with its
// line, and what nobody asked for becomes a warning. Settings that are missing, or wrong, are
// nothing.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "config/messages.h"
#include "config/setting_names.h"
#include "config/toml_value.h"
#include "policy/access_list.h"
#include "wire/address.h"

namespace sluice::config {

template <typename T, typename U>
void assign(T& into, std::optional<U> value) {
  if (value) into = static_cast<T>(*value);
}

class TomlReader {
 public:
  // `path` names the table in messages ("limits"); empty: its keys need no more than their names.
  // All three must outlive the reader.
  TomlReader(const TomlTable& table, std::string_view path, Messages& messages)
      : table_(&table), path_(path), messages_(&messages) {}

  [[nodiscard]] const TomlEntry* find(std::string_view key);

  [[nodiscard]] std::optional<bool> boolean(std::string_view key);
  [[nodiscard]] std::optional<std::string> text(std::string_view key);
  [[nodiscard]] std::optional<std::uint64_t> integer(std::string_view key, std::uint64_t min,
                                                     std::uint64_t max);
  [[nodiscard]] std::optional<Duration> duration(std::string_view key, Duration min = {});
  [[nodiscard]] std::optional<std::uint64_t> size(std::string_view key, std::uint64_t min,
                                                  std::uint64_t max);
  [[nodiscard]] std::optional<wire::IpAddress> address(std::string_view key);
  [[nodiscard]] const TomlTable* table(std::string_view key);
  // An array of tables; empty when it is missing.
  [[nodiscard]] std::vector<const TomlValue*> tables(std::string_view key);
  struct Text {
    std::string_view text;  // Of the document.
    unsigned line = 0;
  };
  // A string, or an array of strings, such as `example`, which is TOML.
  [[nodiscard]] std::vector<Text> texts(std::string_view key, std::string_view example);
  // The same, of address patterns: appended.
  void patterns(std::string_view key, std::vector<policy::AddressPattern>& into);

  template <typename E, std::size_t N>
  [[nodiscard]] std::optional<E> choice(std::string_view key, const Named<E> (&names)[N]) {
    const auto word = text(key);
    if (!word) return std::nullopt;
    std::string expected;
    for (const Named<E>& named : names) {
      if (named.name == *word) return named.value;
      if (!expected.empty()) expected += &named == &names[N - 1] ? " or " : ", ";
      expected += fmt::format("\"{}\"", named.name);
    }
    wrong(key, fmt::format("is {}; expected {}", config::quoted(*word), expected));
    return std::nullopt;
  }

  // An error at the key's line: "'limits.connections' WHAT".
  void wrong(std::string_view key, std::string_view what);
  // Warns of each key that was never asked for, with the nearest that was. Where a key that has no
  // effect could let more through than its writer meant, it is an error.
  enum class Unknown : std::uint8_t { kWarning, kError };
  void finish(Unknown unknown = Unknown::kWarning);

 private:
  [[nodiscard]] std::string full_name(std::string_view key) const;
  void wrong_kind(const TomlEntry& entry, std::string_view expected);

  const TomlTable* table_;
  std::string_view path_;
  Messages* messages_;
  std::vector<std::string_view> asked_;
};

// Appends one pattern, or reports what is wrong with it.
void add_pattern(std::string_view text, unsigned line, std::vector<policy::AddressPattern>& into,
                 Messages& messages);

}  // namespace sluice::config
