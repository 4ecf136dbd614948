// A seeded, deterministic generator (xoshiro256**, Blackman and Vigna, public domain). The same
// seed gives the same run, on every machine.
//
// It is fast and even, but whoever sees some of its output can compute the rest: numbers that an
// attacker must not guess (DNS ids, TCP sequence numbers) come from siphash() under a secret key.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <limits>

namespace sluice {

class Prng {
 public:
  using result_type = std::uint64_t;

  constexpr explicit Prng(std::uint64_t seed) {
    // SplitMix64 spreads the seed: the state must not be all zero, and near seeds must differ.
    for (std::uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15;
      std::uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      word = z ^ (z >> 31);
    }
  }

  [[nodiscard]] constexpr std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Even over [0, bound); zero for a bound of zero. Draws from the last, incomplete run of `bound`
  // numbers are thrown away, so no value comes up more often than another.
  [[nodiscard]] constexpr std::uint64_t below(std::uint64_t bound) {
    if (bound == 0) return 0;
    const std::uint64_t uneven = (0 - bound) % bound;  // 2^64 mod bound
    std::uint64_t draw = next();
    while (draw < uneven) draw = next();
    return draw % bound;
  }

  // For the distributions and shuffles of the standard library.
  [[nodiscard]] static constexpr result_type min() { return 0; }
  [[nodiscard]] static constexpr result_type max() {
    return std::numeric_limits<result_type>::max();
  }
  constexpr result_type operator()() { return next(); }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace sluice
