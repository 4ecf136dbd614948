// Secrets and seeds from the kernel's random number generator (getrandom(2)).
#pragma once

#include <sys/random.h>

#include <optional>
#include <type_traits>

namespace sluice::sys {

// Nothing only on a kernel without the call, since up to 256 bytes never come short. Waits where
// the system has only just started and has gathered no randomness yet.
template <typename T>
[[nodiscard]] std::optional<T> draw_random() {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 256);
  T value{};
  if (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) {
    return std::nullopt;
  }
  return value;
}

}  // namespace sluice::sys
