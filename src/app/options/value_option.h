// Options whose value has a unit, times and sizes, and those whose value is one of a few words.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "app/options/early_exit.h"
#include "base/time.h"
#include "config/setting_names.h"
#include "config/units.h"

namespace sluice::app {

// "30s", "500ms", "10m", "1h", "2d", and "30" for seconds.
[[nodiscard]] inline std::expected<Duration, Mistake> parse_time(std::string_view option,
                                                                 std::string_view text,
                                                                 Duration min) {
  const auto time = config::parse_duration(text);
  if (!time) {
    return fail("{}: '{}' is not a time; expected one as 30s, 500ms, 10m or 1h", option, text);
  }
  if (*time < min) {
    return fail("{}: '{}' is out of range; expected {} at least", option, text,
                config::format_duration(min));
  }
  return *time;
}

// Bytes: "65536", "64KiB", "1M".
[[nodiscard]] inline std::expected<std::size_t, Mistake> parse_size(std::string_view option,
                                                                    std::string_view text,
                                                                    std::size_t min,
                                                                    std::size_t max) {
  const auto size = config::parse_size(text);
  if (!size) {
    return fail("{}: '{}' is not a size; expected bytes as 65536, 64KiB or 1MiB", option, text);
  }
  if (*size < min || *size > max) {
    return fail("{}: '{}' is out of range; expected {} to {}", option, text,
                config::format_size(min), config::format_size(max));
  }
  return static_cast<std::size_t>(*size);
}

// One of `names`, the words that configuration files have for it too.
template <typename E, std::size_t N>
[[nodiscard]] std::expected<E, Mistake> parse_named(std::string_view option, std::string_view text,
                                                    const config::Named<E> (&names)[N]) {
  std::string known;
  for (std::size_t i = 0; i < N; ++i) {
    if (text == names[i].name) return names[i].value;
    known += fmt::format("{}{}", i == 0 ? "" : i + 1 == N ? " or " : ", ", names[i].name);
  }
  return fail("{}: '{}' is unknown; expected {}", option, text, known);
}

}  // namespace sluice::app
