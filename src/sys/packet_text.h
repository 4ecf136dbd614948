// Texts inside the fixed-size packets that our processes send each other: cut to fit, ended by a
// zero byte.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::sys {

template <std::size_t N>
void put_text(std::array<char, N>& out, std::string_view text) {
  text.copy(out.data(), N - 1);
}

template <std::size_t N>
[[nodiscard]] std::string take_text(const std::array<char, N>& in) {
  return {in.begin(), std::find(in.begin(), in.end(), '\0')};
}

}  // namespace sluice::sys
