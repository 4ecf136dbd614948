#include "base/index_table.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "base/prng.h"

namespace sluice {
namespace {

// The secret is a modulus: hashes collide as often as a test wants, which makes long runs.
struct Key {
  std::uint32_t number = 0;
  friend bool operator==(const Key&, const Key&) = default;
  [[nodiscard]] std::uint64_t hash(const std::uint64_t& modulus) const { return number % modulus; }
};

using Table = IndexTable<Key, std::uint64_t, 4>;
constexpr std::uint64_t kNoCollisions = 1ULL << 32;

// Keys live outside the table, as they do in a slab.
struct Things {
  explicit Things(std::uint64_t modulus) : table(modulus) {}
  std::uint32_t find(Key key) const {
    return table.find(key, [this](std::uint32_t index) -> const Key& { return keys[index]; });
  }
  std::vector<Key> keys;
  Table table;
};

class IndexTableChurn : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(IndexTableChurn, DoesWhatAMapDoes) {
  constexpr std::uint32_t kPlaces = 300;
  Prng prng(3);
  Things things(GetParam());
  things.keys.resize(kPlaces);
  std::map<std::uint32_t, std::uint32_t> exact;  // Number of the key to index.
  std::vector<std::uint32_t> free;
  for (std::uint32_t i = kPlaces; i-- > 0;) free.push_back(i);
  for (int step = 0; step < 20'000; ++step) {
    const Key key{static_cast<std::uint32_t>(prng.below(450))};
    const auto at = exact.find(key.number);
    ASSERT_EQ(things.find(key), at == exact.end() ? Table::kNone : at->second);
    if (at != exact.end()) {
      things.table.erase(key, at->second);
      free.push_back(at->second);
      exact.erase(at);
    } else if (!free.empty()) {
      const std::uint32_t index = free.back();
      free.pop_back();
      things.keys[index] = key;
      things.table.insert(key, index);
      exact.emplace(key.number, index);
    }
    ASSERT_EQ(things.table.size(), exact.size());
  }
  for (const auto& [number, index] : exact) EXPECT_EQ(things.find(Key{number}), index);
}

INSTANTIATE_TEST_SUITE_P(Moduli, IndexTableChurn, ::testing::Values(1, 7, 64, kNoCollisions));

// Home 3 of 4 places: the run goes on at the first.
TEST(IndexTable, ARunWrapsAroundTheEnd) {
  Things things(4);
  things.keys = {{3}, {7}, {11}};
  for (std::uint32_t i = 0; i < 3; ++i) things.table.insert(things.keys[i], i);
  things.table.erase(things.keys[0], 0);
  EXPECT_EQ(things.find(things.keys[0]), Table::kNone);
  EXPECT_EQ(things.find(things.keys[1]), 1u);
  EXPECT_EQ(things.find(things.keys[2]), 2u);
}

TEST(IndexTable, OnlyTheLow32BitsOfAHashCount) {
  struct Wide {
    std::uint64_t number = 0;
    bool operator==(const Wide&) const = default;
    [[nodiscard]] std::uint64_t hash(const int&) const { return number << 32; }
  };
  const std::vector<Wide> keys = {{1}, {2}, {3}, {4}};
  IndexTable<Wide, int, 2> table(0);
  for (std::uint32_t i = 0; i < keys.size(); ++i) table.insert(keys[i], i);
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(table.find(keys[i], [&](std::uint32_t at) { return keys[at]; }), i);
  }
}

TEST(IndexTable, ErasingWhatIsNotThereDoesNothing) {
  Things things(kNoCollisions);
  things.keys = {{1}};
  things.table.insert({1}, 0);
  things.table.erase({2}, 5);
  things.table.erase({1}, 5);
  EXPECT_EQ(things.find({1}), 0u);
  EXPECT_EQ(things.table.size(), 1u);
}

}  // namespace
}  // namespace sluice
