// Words that are shared with a guest's processors: little-endian, read and written whole, in a
// given order. Atomic operations on plain memory: std::atomic_ref, never a lock.
#pragma once

#include <atomic>
#include <bit>
#include <concepts>
#include <cstdint>

namespace sluice::virtio {

template <std::unsigned_integral T>
[[nodiscard]] constexpr T little_endian(T value) {
  if constexpr (std::endian::native == std::endian::big) {
    return std::byteswap(value);
  } else {
    return value;
  }
}

// `at` is aligned to the word's size.
template <std::unsigned_integral T>
[[nodiscard]] T load_word(const std::uint8_t* at, std::memory_order order) {
  static_assert(std::atomic_ref<T>::is_always_lock_free);
  // atomic_ref takes no const object before C++26; a load writes nothing.
  auto* word = reinterpret_cast<T*>(const_cast<std::uint8_t*>(at));
  return little_endian(std::atomic_ref<T>(*word).load(order));
}

template <std::unsigned_integral T>
void store_word(std::uint8_t* at, T value, std::memory_order order) {
  std::atomic_ref<T>(*reinterpret_cast<T*>(at)).store(little_endian(value), order);
}

[[nodiscard]] inline bool is_aligned(const std::uint8_t* at, std::size_t alignment) {
  return std::bit_cast<std::uintptr_t>(at) % alignment == 0;
}

// What both event indices ask (virtio 1.2, 2.7.7.2): whether going from `before` to `now` passed
// `event`.
[[nodiscard]] constexpr bool passed_event(std::uint16_t event, std::uint16_t now,
                                          std::uint16_t before) {
  return static_cast<std::uint16_t>(now - event - 1) < static_cast<std::uint16_t>(now - before);
}

}  // namespace sluice::virtio
