#include "base/siphash.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace sluice {
namespace {

// Key 00 01 … 0f, as in the paper and the reference implementation's vectors.
constexpr SipKey kReferenceKey{0x0706050403020100, 0x0f0e0d0c0b0a0908};

std::vector<std::uint8_t> counting(std::size_t length) {
  std::vector<std::uint8_t> bytes(length);
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::uint8_t>(i);
  return bytes;
}

// The message of length n is 00 01 … n-1. Length 15 is the worked example of the paper, appendix A.
TEST(SipHash, MatchesReferenceVectors) {
  struct Vector {
    std::size_t length;
    std::uint64_t expected;
  };
  constexpr std::array kVectors{
      Vector{0, 0x726fdb47dd0e0e31}, Vector{1, 0x74f839c593dc67fd},  Vector{2, 0x0d6c8009d9a94f5a},
      Vector{3, 0x85676696d7fb7e2d}, Vector{4, 0xcf2794e0277187b7},  Vector{5, 0x18765564cd99a68d},
      Vector{6, 0xcbc9466e58fee3ce}, Vector{7, 0xab0200f58b01d137},  Vector{8, 0x93f5f5799a932462},
      Vector{9, 0x9e0082df0ba9e4b0}, Vector{15, 0xa129ca6149be45e5}, Vector{63, 0x958a324ceb064572},
  };
  for (const Vector& v : kVectors) {
    EXPECT_EQ(siphash(kReferenceKey, counting(v.length)), v.expected) << "length " << v.length;
  }
}

TEST(SipHash, DependsOnKeyAndLength) {
  const auto message = counting(20);
  EXPECT_NE(siphash(kReferenceKey, message), siphash(SipKey{1, 2}, message));
  const std::vector<std::uint8_t> zeros(16, 0);
  EXPECT_NE(siphash(kReferenceKey, ByteView(zeros).first(8)), siphash(kReferenceKey, zeros));
}

}  // namespace
}  // namespace sluice
