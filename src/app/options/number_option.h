// Options whose value is a whole number.
#pragma once

#include <charconv>
#include <expected>
#include <limits>
#include <string_view>

#include "app/options/early_exit.h"

namespace sluice::app {

// Digits only. What is beyond T is out of range, not malformed.
template <typename T>
[[nodiscard]] std::expected<T, Mistake> parse_number(std::string_view option, std::string_view text,
                                                     T min, T max) {
  T value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool is_number = stop == end && !text.empty() && error != std::errc::invalid_argument;
  if (!is_number) {
    return fail("{}: '{}' is not a number; expected {} to {}", option, text, min, max);
  }
  if (error == std::errc::result_out_of_range || value < min || value > max) {
    return fail("{}: '{}' is out of range; expected {} to {}", option, text, min, max);
  }
  return value;
}

}  // namespace sluice::app
