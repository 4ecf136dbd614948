// Byte spans and big-endian loads and stores whose offsets are checked by the compiler.
//
// A fixed header is a span of static extent; `be16<12>(header)` reads the two bytes at offset 12
// and does not compile when they are not part of the header. Nothing here owns memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice {

using ByteView = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

template <std::size_t N>
using FixedView = std::span<const std::uint8_t, N>;
template <std::size_t N>
using FixedBytes = std::span<std::uint8_t, N>;

template <std::size_t Offset, std::size_t Width, std::size_t N>
concept InsideHeader = N != std::dynamic_extent && Offset + Width <= N;

// Loads. `T` is `const std::uint8_t` or `std::uint8_t`.
template <std::size_t Offset, typename T, std::size_t N>
  requires InsideHeader<Offset, 1, N>
[[nodiscard]] constexpr std::uint8_t be8(std::span<T, N> bytes) {
  return bytes[Offset];
}

template <std::size_t Offset, typename T, std::size_t N>
  requires InsideHeader<Offset, 2, N>
[[nodiscard]] constexpr std::uint16_t be16(std::span<T, N> bytes) {
  return static_cast<std::uint16_t>((std::uint32_t{bytes[Offset]} << 8) | bytes[Offset + 1]);
}

template <std::size_t Offset, typename T, std::size_t N>
  requires InsideHeader<Offset, 4, N>
[[nodiscard]] constexpr std::uint32_t be32(std::span<T, N> bytes) {
  return (std::uint32_t{bytes[Offset]} << 24) | (std::uint32_t{bytes[Offset + 1]} << 16) |
         (std::uint32_t{bytes[Offset + 2]} << 8) | std::uint32_t{bytes[Offset + 3]};
}

// Stores.
template <std::size_t Offset, std::size_t N>
  requires InsideHeader<Offset, 1, N>
constexpr void put8(FixedBytes<N> bytes, std::uint8_t value) {
  bytes[Offset] = value;
}

template <std::size_t Offset, std::size_t N>
  requires InsideHeader<Offset, 2, N>
constexpr void put16(FixedBytes<N> bytes, std::uint16_t value) {
  bytes[Offset] = static_cast<std::uint8_t>(value >> 8);
  bytes[Offset + 1] = static_cast<std::uint8_t>(value);
}

template <std::size_t Offset, std::size_t N>
  requires InsideHeader<Offset, 4, N>
constexpr void put32(FixedBytes<N> bytes, std::uint32_t value) {
  bytes[Offset] = static_cast<std::uint8_t>(value >> 24);
  bytes[Offset + 1] = static_cast<std::uint8_t>(value >> 16);
  bytes[Offset + 2] = static_cast<std::uint8_t>(value >> 8);
  bytes[Offset + 3] = static_cast<std::uint8_t>(value);
}

}  // namespace sluice
