// A fast keyed hash for short keys of fixed size, such as flow keys of 16 to 48 bytes: one
// 64 x 64 -> 128 bit multiplication for every 16 bytes.
//
// The secret is drawn once a process, so collisions cannot be prepared in advance. For keys that
// an attacker chooses freely and in number (DNS questions) use siphash().
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace sluice {

struct HashSecret {
  std::uint64_t s0 = 0x8ebc6af09c88c6e3;
  std::uint64_t s1 = 0x589965cc75374cc3;
};

namespace detail {

__extension__ using Wide = unsigned __int128;

// Both halves of the product matter: the low one is weak in its low bits, the high one in its high.
[[nodiscard]] constexpr std::uint64_t fold_product(std::uint64_t a, std::uint64_t b) {
  const Wide product = Wide{a} * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// The order of bytes is the machine's: these hashes never leave the process.
[[nodiscard]] inline std::uint64_t load_word(const std::uint8_t* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

}  // namespace detail

class KeyedHash {
 public:
  explicit KeyedHash(const HashSecret& secret) : secret_(secret) {}

  [[nodiscard]] std::uint64_t operator()(ByteView key) const {
    using detail::fold_product;
    using detail::load_word;
    std::uint64_t state = secret_.s1 ^ key.size();
    if (key.size() < 16) {
      std::uint8_t padded[16] = {};
      if (!key.empty()) std::memcpy(padded, key.data(), key.size());
      state = fold_product(load_word(padded) ^ secret_.s0, load_word(padded + 8) ^ state);
    } else {
      const std::uint8_t* at = key.data();
      const std::uint8_t* const last = key.data() + key.size() - 16;
      while (at < last) {
        state = fold_product(load_word(at) ^ secret_.s0, load_word(at + 8) ^ state);
        at += 16;
      }
      // The last block may overlap the one before it, which spares a branch for each tail length.
      state = fold_product(load_word(last) ^ secret_.s0, load_word(last + 8) ^ state);
    }
    return fold_product(state ^ secret_.s0, secret_.s1 ^ 0x9e3779b97f4a7c15);
  }

 private:
  HashSecret secret_;
};

}  // namespace sluice
