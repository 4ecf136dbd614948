#include "config/units.h"

#include <fmt/core.h>

#include <charconv>
#include <iterator>
#include <limits>

namespace sluice::config {
namespace {

struct TimeUnit {
  std::string_view name;
  Duration value;
};
constexpr TimeUnit kTimeUnits[] = {
    {"d", std::chrono::hours{24}},        {"h", std::chrono::hours{1}},
    {"m", std::chrono::minutes{1}},       {"s", std::chrono::seconds{1}},
    {"ms", std::chrono::milliseconds{1}}, {"us", std::chrono::microseconds{1}},
};

struct SizeUnit {
  std::string_view name;  // In lower case.
  std::uint64_t value;
  std::string_view shown;
};
constexpr std::uint64_t kKilo = 1000;
constexpr std::uint64_t kKibi = 1024;
// Sizes are shown in the first unit that divides them.
constexpr SizeUnit kSizeUnits[] = {
    {"tib", kKibi* kKibi* kKibi* kKibi, "TiB"},
    {"gib", kKibi* kKibi* kKibi, "GiB"},
    {"mib", kKibi* kKibi, "MiB"},
    {"kib", kKibi, "KiB"},
    {"tb", kKilo* kKilo* kKilo* kKilo, "TB"},
    {"gb", kKilo* kKilo* kKilo, "GB"},
    {"mb", kKilo* kKilo, "MB"},
    {"kb", kKilo, "kB"},
    {"t", kKibi* kKibi* kKibi* kKibi, "T"},
    {"g", kKibi* kKibi* kKibi, "G"},
    {"m", kKibi* kKibi, "M"},
    {"k", kKibi, "K"},
    {"b", 1, "B"},
    {"", 1, "B"},
};

// Digits, then whatever follows, without spaces between.
struct Amount {
  std::uint64_t number = 0;
  std::string_view unit;
};

std::optional<Amount> parse_amount(std::string_view text) {
  Amount amount;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, amount.number);
  if (error != std::errc{}) return std::nullopt;
  amount.unit = text.substr(static_cast<std::size_t>(stop - text.data()));
  while (amount.unit.starts_with(' ')) amount.unit.remove_prefix(1);
  return amount;
}

bool same_letters(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower[i]) return false;
  }
  return true;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  const auto amount = parse_amount(text);
  if (!amount) return std::nullopt;
  for (const TimeUnit& unit : kTimeUnits) {
    if (amount->unit != unit.name && !(amount->unit.empty() && unit.name == "s")) continue;
    const auto most = static_cast<std::uint64_t>(kDurationMax / unit.value);
    if (amount->number > most) return std::nullopt;
    return unit.value * static_cast<std::int64_t>(amount->number);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  if (text.ends_with("/s")) text.remove_suffix(2);
  const auto amount = parse_amount(text);
  if (!amount) return std::nullopt;
  for (const SizeUnit& unit : kSizeUnits) {
    if (!same_letters(amount->unit, unit.name)) continue;
    if (amount->number > std::numeric_limits<std::uint64_t>::max() / unit.value) {
      return std::nullopt;
    }
    return amount->number * unit.value;
  }
  return std::nullopt;
}

std::string format_duration(Duration duration) {
  if (duration == Duration::zero()) return "0s";
  for (const TimeUnit& unit : kTimeUnits) {
    if (duration % unit.value == Duration::zero()) {
      return fmt::format("{}{}", duration / unit.value, unit.name);
    }
  }
  return fmt::format("{}ns", duration.count());
}

std::string format_size(std::uint64_t bytes) {
  if (bytes == 0) return "0B";
  for (const SizeUnit& unit : kSizeUnits) {
    if (bytes % unit.value == 0) return fmt::format("{}{}", bytes / unit.value, unit.shown);
  }
  return fmt::format("{}B", bytes);
}

}  // namespace sluice::config
