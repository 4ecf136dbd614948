// Little-endian fields of tables that a guest's processor reads, at offsets known only at run time.
// The caller has checked that they lie within the bytes.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace sluice::box {

template <std::unsigned_integral T>
[[nodiscard]] constexpr T load_le(ByteView bytes, std::size_t offset) {
  std::uint64_t value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) value = value << 8 | bytes[offset + i];
  return static_cast<T>(value);
}

template <std::unsigned_integral T>
constexpr void store_le(MutableBytes bytes, std::size_t offset, T value) {
  const std::uint64_t wide = value;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes[offset + i] = static_cast<std::uint8_t>(wide >> (8 * i));
  }
}

}  // namespace sluice::box
