#include "config/toml_reader.h"

#include <algorithm>
#include <cmath>

#include "base/suggestion.h"
#include "config/units.h"

namespace sluice::config {
namespace {

std::optional<Duration> seconds_of(double seconds) {
  const double most = std::chrono::duration<double>(kDurationMax).count();
  // Also false for what is not a number.
  if (!(seconds >= 0.0 && seconds <= most)) return std::nullopt;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

const TomlEntry* TomlReader::find(std::string_view key) {
  asked_.push_back(key);
  const auto entry = std::find_if(table_->begin(), table_->end(),
                                  [&](const TomlEntry& e) { return e.key == key; });
  return entry == table_->end() ? nullptr : &*entry;
}

std::optional<bool> TomlReader::boolean(std::string_view key) {
  const TomlEntry* const entry = find(key);
  if (entry == nullptr) return std::nullopt;
  if (const bool* value = std::get_if<bool>(&entry->value.data)) return *value;
  wrong_kind(*entry, "true or false");
  return std::nullopt;
}

std::optional<std::string> TomlReader::text(std::string_view key) {
  const TomlEntry* const entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const auto* const value = std::get_if<std::string>(&entry->value.data);
  if (value == nullptr) {
    wrong_kind(*entry, "a string in quotes");
    return std::nullopt;
  }
  // They become names of files, devices and hosts, which end at a zero byte.
  if (value->find('\0') != std::string::npos) {
    wrong(key, "holds a zero byte; remove it");
    return std::nullopt;
  }
  return *value;
}

std::optional<std::uint64_t> TomlReader::integer(std::string_view key, std::uint64_t min,
                                                 std::uint64_t max) {
  const TomlEntry* const entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const auto* const value = std::get_if<std::int64_t>(&entry->value.data);
  if (value == nullptr) {
    wrong_kind(*entry, fmt::format("a whole number from {} to {}", min, max));
    return std::nullopt;
  }
  if (*value < 0 || static_cast<std::uint64_t>(*value) < min ||
      static_cast<std::uint64_t>(*value) > max) {
    wrong(key, fmt::format("is {}; expected {} to {}", *value, min, max));
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(*value);
}

std::optional<Duration> TomlReader::duration(std::string_view key, Duration min) {
  const TomlEntry* const entry = find(key);
  if (entry == nullptr) return std::nullopt;
  std::optional<Duration> value;
  if (const auto* number = std::get_if<std::int64_t>(&entry->value.data)) {
    value = seconds_of(static_cast<double>(*number));
  } else if (const auto* fraction = std::get_if<double>(&entry->value.data)) {
    value = seconds_of(*fraction);
  } else if (const auto* words = std::get_if<std::string>(&entry->value.data)) {
    value = parse_duration(*words);
  } else {
    wrong_kind(*entry, kDurationShape);
    return std::nullopt;
  }
  if (!value) {
    wrong(key, fmt::format("is no duration; expected {}", kDurationShape));
  } else if (*value < min) {
    wrong(key, fmt::format("is {}; expected {} at least", format_duration(*value),
                           format_duration(min)));
    return std::nullopt;
  }
  return value;
}

std::optional<std::uint64_t> TomlReader::size(std::string_view key, std::uint64_t min,
                                              std::uint64_t max) {
  const TomlEntry* const entry = find(key);
  if (entry == nullptr) return std::nullopt;
  std::optional<std::uint64_t> value;
  if (const auto* number = std::get_if<std::int64_t>(&entry->value.data)) {
    if (*number >= 0) value = static_cast<std::uint64_t>(*number);
  } else if (const auto* words = std::get_if<std::string>(&entry->value.data)) {
    value = parse_size(*words);
  } else {
    wrong_kind(*entry, kSizeShape);
    return std::nullopt;
  }
  if (!value) {
    wrong(key, fmt::format("is no size; expected {}", kSizeShape));
  } else if (*value < min || *value > max) {
    wrong(key, fmt::format("is {}; expected {} to {}", format_size(*value), format_size(min),
                           format_size(max)));
    return std::nullopt;
  }
  return value;
}

std::optional<wire::IpAddress> TomlReader::address(std::string_view key) {
  const auto words = text(key);
  if (!words) return std::nullopt;
  const auto parsed = wire::parse_ip(*words);
  if (parsed) return *parsed;
  wrong(key,
        fmt::format("is {}; expected an address of this host as \"10.1.1.2\"", quoted(*words)));
  return std::nullopt;
}

const TomlTable* TomlReader::table(std::string_view key) {
  const TomlEntry* const entry = find(key);
  if (entry == nullptr) return nullptr;
  const auto* const value = std::get_if<TomlTable>(&entry->value.data);
  if (value == nullptr) wrong_kind(*entry, "a table as {key = value}");
  return value;
}

std::vector<const TomlValue*> TomlReader::tables(std::string_view key) {
  std::vector<const TomlValue*> found;
  const TomlEntry* const entry = find(key);
  if (entry == nullptr) return found;
  const auto* const array = std::get_if<TomlArray>(&entry->value.data);
  if (array == nullptr) {
    wrong_kind(*entry, fmt::format("tables, each under [[{}]]", full_name(key)));
    return found;
  }
  for (const TomlValue& value : *array) {
    if (std::holds_alternative<TomlTable>(value.data)) {
      found.push_back(&value);
    } else {
      messages_->error(value.line, fmt::format("'{}' holds {}; expected tables, each under [[{}]]",
                                               full_name(key), kind_of(value), full_name(key)));
    }
  }
  return found;
}

std::vector<TomlReader::Text> TomlReader::texts(std::string_view key, std::string_view example) {
  std::vector<Text> found;
  const TomlEntry* const entry = find(key);
  if (entry == nullptr) return found;
  const auto add = [&](const TomlValue& value) {
    const auto* const words = std::get_if<std::string>(&value.data);
    if (words != nullptr) {
      found.push_back({*words, value.line});
    } else {
      messages_->error(value.line, fmt::format("'{}' holds {}; expected {}", full_name(key),
                                               kind_of(value), example));
    }
  };
  if (const auto* array = std::get_if<TomlArray>(&entry->value.data)) {
    for (const TomlValue& value : *array) add(value);
  } else {
    add(entry->value);
  }
  return found;
}

void TomlReader::patterns(std::string_view key, std::vector<policy::AddressPattern>& into) {
  for (const Text& words : texts(key, "patterns in quotes as [\"10.0.0.0/8\", \"192.168.1.*\"]")) {
    add_pattern(words.text, words.line, into, *messages_);
  }
}

void TomlReader::wrong(std::string_view key, std::string_view what) {
  const auto entry = std::find_if(table_->begin(), table_->end(),
                                  [&](const TomlEntry& e) { return e.key == key; });
  messages_->error(entry == table_->end() ? 0 : entry->value.line,
                   fmt::format("'{}' {}", full_name(key), what));
}

void TomlReader::wrong_kind(const TomlEntry& entry, std::string_view expected) {
  wrong(entry.key, fmt::format("is {}; expected {}", kind_of(entry.value), expected));
}

void TomlReader::finish(Unknown unknown) {
  for (const TomlEntry& entry : *table_) {
    if (std::find(asked_.begin(), asked_.end(), entry.key) != asked_.end()) continue;
    const std::string_view near = nearest(entry.key, asked_);
    const bool warn = unknown == Unknown::kWarning;
    std::string text =
        fmt::format("unknown key {}{}", quoted(full_name(entry.key)), warn ? " has no effect" : "");
    if (!near.empty()) text += fmt::format("; did you mean '{}'?", full_name(near));
    if (warn) {
      messages_->warn(entry.line, std::move(text));
    } else {
      messages_->error(entry.line, std::move(text));
    }
  }
}

std::string TomlReader::full_name(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void add_pattern(std::string_view text, unsigned line, std::vector<policy::AddressPattern>& into,
                 Messages& messages) {
  auto pattern = policy::AddressPattern::parse(text);
  if (pattern) {
    into.push_back(std::move(*pattern));
    return;
  }
  messages.error(line, fmt::format("{} is not an address pattern; expected {}", quoted(text),
                                   pattern.error().expected));
}

}  // namespace sluice::config
