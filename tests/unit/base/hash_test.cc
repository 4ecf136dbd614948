#include "base/hash.h"

#include <gtest/gtest.h>

#include <bit>
#include <set>
#include <vector>

#include "base/prng.h"

namespace sluice {
namespace {

constexpr HashSecret kSecret{0x0123456789abcdef, 0xfedcba9876543210};

TEST(KeyedHash, SameKeySameHash) {
  const KeyedHash hash(kSecret);
  const std::vector<std::uint8_t> key(38, 7);
  EXPECT_EQ(hash(key), KeyedHash(kSecret)(key));
}

TEST(KeyedHash, SecretAndLengthMatter) {
  const std::vector<std::uint8_t> key(40, 0);
  EXPECT_NE(KeyedHash(kSecret)(key), KeyedHash(HashSecret{1, 2})(key));
  std::set<std::uint64_t> seen;
  for (std::size_t n = 0; n <= key.size(); ++n)
    seen.insert(KeyedHash(kSecret)(ByteView(key).first(n)));
  EXPECT_EQ(seen.size(), key.size() + 1);
}

// Every bit of a key, at every size in use, moves about half the bits of the hash.
TEST(KeyedHash, EveryBitCounts) {
  const KeyedHash hash(kSecret);
  Prng prng(11);
  for (std::size_t size = 1; size <= 48; ++size) {
    std::vector<std::uint8_t> key(size);
    for (std::uint8_t& byte : key) byte = static_cast<std::uint8_t>(prng.next());
    const std::uint64_t before = hash(key);
    int flipped = 0;
    for (std::size_t bit = 0; bit < size * 8; ++bit) {
      key[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      const int moved = std::popcount(before ^ hash(key));
      EXPECT_GE(moved, 10) << "size " << size << " bit " << bit;
      flipped += moved;
      key[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    }
    EXPECT_NEAR(static_cast<double>(flipped) / static_cast<double>(size * 8), 32.0, 6.0);
  }
}

// Flow keys that differ only in a port must spread over the low bits, which tables use as index.
TEST(KeyedHash, SequentialPortsFillBuckets) {
  const KeyedHash hash(kSecret);
  std::vector<std::uint8_t> key(40, 0x0a);
  std::vector<int> buckets(1024, 0);
  for (unsigned port = 0; port < 65'536; ++port) {
    key[34] = static_cast<std::uint8_t>(port >> 8);
    key[35] = static_cast<std::uint8_t>(port);
    ++buckets[hash(key) % buckets.size()];
  }
  for (const int count : buckets) {
    EXPECT_GT(count, 16);
    EXPECT_LT(count, 128);
  }
}

}  // namespace
}  // namespace sluice
