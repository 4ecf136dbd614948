// TCP sequence numbers: a circle of 2^32 values (RFC 9293, 3.4).
//
// `a < b` holds when b is less than 2^31 steps after a, so the order is only meaningful between
// numbers of one window; it is not transitive over the whole circle. Two numbers exactly 2^31 apart
// are each less than the other, as in RFC 793's arithmetic.
#pragma once

#include <cstdint>

namespace sluice::wire {

struct SeqNum {
  std::uint32_t value = 0;

  friend constexpr bool operator==(SeqNum, SeqNum) = default;

  friend constexpr SeqNum operator+(SeqNum a, std::uint32_t n) { return SeqNum{a.value + n}; }
  friend constexpr SeqNum operator-(SeqNum a, std::uint32_t n) { return SeqNum{a.value - n}; }
  constexpr SeqNum& operator+=(std::uint32_t n) {
    value += n;
    return *this;
  }

  // Signed distance from b to a.
  friend constexpr std::int32_t operator-(SeqNum a, SeqNum b) {
    return static_cast<std::int32_t>(a.value - b.value);
  }

  friend constexpr bool operator<(SeqNum a, SeqNum b) { return a - b < 0; }
  friend constexpr bool operator>(SeqNum a, SeqNum b) { return b - a < 0; }
  friend constexpr bool operator<=(SeqNum a, SeqNum b) { return a - b <= 0; }
  friend constexpr bool operator>=(SeqNum a, SeqNum b) { return b - a <= 0; }
};

// Steps forward from `from` to `to`. Only where `to` is known not to lie before `from`.
[[nodiscard]] constexpr std::uint32_t distance(SeqNum from, SeqNum to) {
  return to.value - from.value;
}

}  // namespace sluice::wire
