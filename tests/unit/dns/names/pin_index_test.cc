#include "dns/names/pin_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace sluice::dns {
namespace {

std::vector<std::uint32_t> names_of(const PinIndex& index, std::uint32_t tag) {
  std::vector<std::uint32_t> found;
  index.visit(tag, [&](std::uint32_t name) {
    found.push_back(name);
    return true;
  });
  std::ranges::sort(found);
  return found;
}

TEST(PinIndex, ATagLeadsToAllOfItsNames) {
  PinIndex index(1000);
  EXPECT_TRUE(index.insert(7, 3));
  EXPECT_TRUE(index.insert(7, 1));
  EXPECT_TRUE(index.insert(8, 2));
  EXPECT_EQ(names_of(index, 7), (std::vector<std::uint32_t>{1, 3}));
  EXPECT_EQ(names_of(index, 8), (std::vector<std::uint32_t>{2}));
  EXPECT_TRUE(names_of(index, 9).empty());
}

TEST(PinIndex, WhatIsErasedIsGoneAndTheRestStays) {
  PinIndex index(1000);
  for (std::uint32_t name = 0; name < 10; ++name) EXPECT_TRUE(index.insert(7, name));
  index.erase(7, 4);
  index.erase(7, 4);
  index.erase(6, 5);
  EXPECT_EQ(names_of(index, 7), (std::vector<std::uint32_t>{0, 1, 2, 3, 5, 6, 7, 8, 9}));
  EXPECT_EQ(index.size(), 9u);
}

TEST(PinIndex, TheLastTagsRunGoesOnAtTheStart) {
  PinIndex index(1000);
  constexpr std::uint32_t kLast = (1U << PinIndex::kTagBits) - 1;
  for (std::uint32_t name = 0; name < 20; ++name) EXPECT_TRUE(index.insert(kLast, name));
  EXPECT_TRUE(index.insert(0, 77));
  for (std::uint32_t name = 0; name < 19; ++name) index.erase(kLast, name);
  EXPECT_EQ(names_of(index, kLast), (std::vector<std::uint32_t>{19}));
  EXPECT_EQ(names_of(index, 0), (std::vector<std::uint32_t>{77}));
}

TEST(PinIndex, GrowsToItsBoundAndNoFurther) {
  PinIndex index(1000);
  std::uint32_t inserted = 0;
  while (index.insert(inserted * 211U % (1U << PinIndex::kTagBits), inserted % 100)) ++inserted;
  EXPECT_GE(inserted, 1000u);
  EXPECT_LE(index.bytes_held(), 4u * 1300);
  EXPECT_EQ(index.size(), inserted);
}

TEST(PinIndex, SaysHowMuchTheNextEntryTakes) {
  PinIndex index(100'000);
  for (std::uint32_t i = 0; i < 5000; ++i) {
    const std::size_t before = index.bytes_held();
    const std::size_t growth = index.growth();
    ASSERT_TRUE(index.insert(i * 40'503U % (1U << PinIndex::kTagBits), i));
    ASSERT_EQ(index.bytes_held(), before + growth);
  }
}

}  // namespace
}  // namespace sluice::dns
