// Names of network interfaces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace sluice::app {

// The kernel's rules: dev_valid_name() and IFNAMSIZ.
[[nodiscard]] inline bool is_interface_name(std::string_view name) {
  constexpr std::size_t kLongest = 15;
  if (name.empty() || name.size() > kLongest || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    // '%' would have the kernel choose a number.
    return c == '/' || c == ':' || c == '%' || c <= ' ' || c == '\x7f';
  });
}

}  // namespace sluice::app
