// Decimal numbers in rules: digits only, no sign, no space, nothing behind.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::policy {

// 1 to 65535. Port 0 is not one that a flow can have.
[[nodiscard]] inline std::optional<std::uint16_t> parse_port_number(std::string_view text) {
  std::uint16_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value == 0) return std::nullopt;
  return value;
}

}  // namespace sluice::policy
