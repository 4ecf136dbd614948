// A descriptor as it was read from a table or a ring: 16 bytes, little-endian.
//
//            0         8       12      14      16
//            +---------+-------+-------+-------+
//   split    | address | length| flags | next  |
//   packed   | address | length| id    | flags |
//            +---------+-------+-------+-------+
#pragma once

#include <cstddef>
#include <cstdint>

#include "virtio/ring/ring_words.h"

namespace sluice::virtio {

struct Descriptor {
  static constexpr std::size_t kSize = 16;

  static constexpr std::uint16_t kNext = 1;
  static constexpr std::uint16_t kWrite = 2;  // The device writes it; otherwise reads.
  static constexpr std::uint16_t kIndirect = 4;
  static constexpr std::uint16_t kAvailable = 1U << 7;  // Packed; so is the next.
  static constexpr std::uint16_t kUsed = 1U << 15;

  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint16_t flags = 0;
  std::uint16_t next = 0;  // Split: the index of the next one. Packed: the buffer id.

  [[nodiscard]] bool is(std::uint16_t flag) const { return (flags & flag) != 0; }

  [[nodiscard]] static Descriptor split(std::uint64_t address, std::uint64_t rest) {
    return {address, static_cast<std::uint32_t>(rest), static_cast<std::uint16_t>(rest >> 32),
            static_cast<std::uint16_t>(rest >> 48)};
  }
  [[nodiscard]] static Descriptor packed(std::uint64_t address, std::uint64_t rest) {
    return {address, static_cast<std::uint32_t>(rest), static_cast<std::uint16_t>(rest >> 48),
            static_cast<std::uint16_t>(rest >> 32)};
  }
};

// The two halves of the descriptor at `at`, each read once. An indirect table may lie anywhere.
struct DescriptorWords {
  std::uint64_t address;
  std::uint64_t rest;
};
[[nodiscard]] inline DescriptorWords load_descriptor(const std::uint8_t* at) {
  if (is_aligned(at, alignof(std::uint64_t))) [[likely]] {
    return {load_word<std::uint64_t>(at, std::memory_order_relaxed),
            load_word<std::uint64_t>(at + 8, std::memory_order_relaxed)};
  }
  DescriptorWords words{0, 0};
  for (unsigned i = 0; i < 8; ++i) {
    words.address |= std::uint64_t{load_word<std::uint8_t>(at + i, std::memory_order_relaxed)}
                     << (8 * i);
    words.rest |= std::uint64_t{load_word<std::uint8_t>(at + 8 + i, std::memory_order_relaxed)}
                  << (8 * i);
  }
  return words;
}

}  // namespace sluice::virtio
