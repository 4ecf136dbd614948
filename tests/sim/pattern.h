// What the streams of a run carry: every stream has a salt, and the byte at each of its offsets is
// known. The period is a prime, so bytes that are off by a power of two do not match by chance.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/prng.h"

namespace sluice::sim {

class Pattern {
 public:
  static constexpr std::size_t kPeriod = 65'521;
  static constexpr std::size_t kLengthMax = 512 * 1024;

  // At most kLengthMax bytes; they stay for the whole run of the program.
  [[nodiscard]] static ByteView at(std::uint32_t salt, std::uint64_t offset, std::size_t length) {
    static const std::vector<std::uint8_t> table = make();
    const std::size_t begin = (offset + std::uint64_t{salt} * 7919) % kPeriod;
    return ByteView(table).subspan(begin, std::min(length, kLengthMax));
  }
  [[nodiscard]] static bool matches(std::uint32_t salt, std::uint64_t offset, ByteView bytes) {
    while (!bytes.empty()) {
      const ByteView wanted = at(salt, offset, bytes.size());
      if (!std::equal(wanted.begin(), wanted.end(), bytes.begin())) return false;
      bytes = bytes.subspan(wanted.size());
      offset += wanted.size();
    }
    return true;
  }

 private:
  [[nodiscard]] static std::vector<std::uint8_t> make() {
    Prng prng(42);
    std::vector<std::uint8_t> period(kPeriod);
    for (std::uint8_t& byte : period) byte = static_cast<std::uint8_t>(prng.next());
    std::vector<std::uint8_t> all;
    all.reserve(kPeriod + kLengthMax);
    while (all.size() < kPeriod + kLengthMax) {
      const std::size_t count = std::min(kPeriod, kPeriod + kLengthMax - all.size());
      all.insert(all.end(), period.begin(), period.begin() + static_cast<std::ptrdiff_t>(count));
    }
    return all;
  }
};

}  // namespace sluice::sim
