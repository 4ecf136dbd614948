// A place in a packed ring, and the wrap counter there (virtio 1.2, 2.8.1): it turns each time
// that the ring's end is passed. As a word: the place in bits 0-14, the counter in bit 15.
#pragma once

#include <cstdint>

namespace sluice::virtio {

struct PackedPosition {
  std::uint16_t index = 0;
  bool wrap = true;

  // By at most the ring's size.
  void advance(std::uint32_t slots, std::uint32_t size) {
    const std::uint32_t sum = index + slots;
    wrap = (sum >= size) != wrap;
    index = static_cast<std::uint16_t>(sum >= size ? sum - size : sum);
  }
  void go_back(std::uint32_t slots, std::uint32_t size) {
    wrap = (slots > index) != wrap;
    index = static_cast<std::uint16_t>(slots > index ? index + size - slots : index - slots);
  }
  [[nodiscard]] std::uint16_t word() const {
    return static_cast<std::uint16_t>(index | (wrap ? 0x8000U : 0U));
  }
  [[nodiscard]] static PackedPosition of_word(std::uint32_t word) {
    return {static_cast<std::uint16_t>(word & 0x7fff), (word & 0x8000) != 0};
  }
  friend bool operator==(const PackedPosition&, const PackedPosition&) = default;
};

}  // namespace sluice::virtio
