#include "virtio/guest_memory.h"

#include <gtest/gtest.h>

namespace sluice::virtio {
namespace {

class GuestMemoryTest : public testing::Test {
 protected:
  [[nodiscard]] static MemoryRegion region(std::uint64_t guest, std::uint64_t user,
                                           MutableBytes bytes) {
    return {.guest_address = guest, .user_address = user, .bytes = bytes};
  }

  std::vector<std::uint8_t> first_ = std::vector<std::uint8_t>(0x1000);
  std::vector<std::uint8_t> second_ = std::vector<std::uint8_t>(0x2000);
  GuestMemory memory_;
};

TEST_F(GuestMemoryTest, WithoutRegionsNothingIsFound) {
  EXPECT_TRUE(memory_.find(0, 1).empty());
  EXPECT_TRUE(memory_.find(0, UINT64_MAX).empty());
  EXPECT_TRUE(memory_.find_user(0, 1).empty());
}

TEST_F(GuestMemoryTest, ARangeIsFoundWhereItLies) {
  ASSERT_TRUE(memory_.add(region(0x4000, 0x10'0000, second_)));
  ASSERT_TRUE(memory_.add(region(0x1000, 0x20'0000, first_)));
  EXPECT_EQ(memory_.find(0x1000, 0x1000).data(), first_.data());
  EXPECT_EQ(memory_.find(0x1fff, 1).data(), &first_[0xfff]);
  EXPECT_EQ(memory_.find(0x4010, 4).data(), &second_[0x10]);
  EXPECT_TRUE(memory_.find(0xfff, 1).empty());
  EXPECT_TRUE(memory_.find(0x2000, 1).empty());
  EXPECT_TRUE(memory_.find(0x6000, 1).empty());
  EXPECT_TRUE(memory_.find(UINT64_MAX, UINT64_MAX).empty());
  EXPECT_EQ(memory_.find_user(0x20'0ffe, 2).data(), &first_[0xffe]);
  EXPECT_TRUE(memory_.find_user(0x20'0ffe, 3).empty());
  EXPECT_TRUE(memory_.find_user(0x1000, 1).empty());
}

TEST_F(GuestMemoryTest, AFinderFindsTheSameWhateverItFoundLast) {
  ASSERT_TRUE(memory_.add(region(0x4000, 0x10'0000, second_)));
  ASSERT_TRUE(memory_.add(region(0x1000, 0x20'0000, first_)));
  MemoryFinder finder(memory_);
  // Twice, as the second time begins with the region that was found last.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(finder.find(0x1000, 0x1000).data(), first_.data());
    EXPECT_EQ(finder.find(0x1fff, 1).data(), &first_[0xfff]);
    EXPECT_EQ(finder.find(0x1fff, UINT64_MAX).size(), 1U);
    EXPECT_EQ(finder.find(0x4010, 4).data(), &second_[0x10]);
    EXPECT_TRUE(finder.find(0xfff, 1).empty());
    EXPECT_TRUE(finder.find(0x2000, 1).empty());
    EXPECT_TRUE(finder.find(0x6000, 1).empty());
    EXPECT_TRUE(finder.find(UINT64_MAX, UINT64_MAX).empty());
    EXPECT_TRUE(finder.find_whole(0x1ff0, 0x20).empty());
    EXPECT_EQ(finder.find_whole(0x1ff0, 0x10).size(), 0x10U);
  }
}

TEST_F(GuestMemoryTest, ARangeOverRegionsComesInPieces) {
  ASSERT_TRUE(memory_.add(region(0x1000, 0x10'0000, first_)));
  ASSERT_TRUE(memory_.add(region(0x2000, 0x20'0000, second_)));
  EXPECT_EQ(memory_.find(0x1ff0, 0x20).size(), 0x10U);
  EXPECT_EQ(memory_.find(0x2000, 0x10).data(), second_.data());
  // A length whose sum with any address wraps.
  EXPECT_EQ(memory_.find(0x1ff0, UINT64_MAX).size(), 0x10U);
}

TEST_F(GuestMemoryTest, ARegionMayEndWithTheLastAddress) {
  ASSERT_TRUE(memory_.add(region(UINT64_MAX - 0xfff, 0x1000, first_)));
  EXPECT_EQ(memory_.find(UINT64_MAX, 1).data(), &first_[0xfff]);
  EXPECT_EQ(memory_.find(UINT64_MAX, 2).size(), 1U);
  const auto wraps = memory_.add(region(0, UINT64_MAX - 0xfff, second_));
  ASSERT_FALSE(wraps);
  EXPECT_EQ(wraps.error(), MemoryFault::kAddressWraps);
}

TEST_F(GuestMemoryTest, RegionsThatCannotBe) {
  ASSERT_TRUE(memory_.add(region(0x1000, 0x1000, first_)));
  EXPECT_EQ(memory_.add(region(0x8000, 0x8000, {})).error(), MemoryFault::kEmptyRegion);
  EXPECT_EQ(memory_.add(region(0x1fff, 0x10'0000, second_)).error(), MemoryFault::kOverlap);
  EXPECT_EQ(memory_.add(region(0, 0x10'0000, second_)).error(), MemoryFault::kOverlap);
  EXPECT_EQ(memory_.add(region(0x8000, 0x1800, second_)).error(), MemoryFault::kOverlap);
  EXPECT_EQ(memory_.regions().size(), 1U);
}

TEST_F(GuestMemoryTest, ThereIsABound) {
  for (std::size_t i = 0; i < GuestMemory::kRegionsMax; ++i) {
    ASSERT_TRUE(memory_.add(region(i, i, {&first_[i], 1})));
  }
  EXPECT_EQ(memory_.add(region(0x10000, 0x10000, second_)).error(), MemoryFault::kTooManyRegions);
}

TEST_F(GuestMemoryTest, WhatIsRemovedIsNotFound) {
  ASSERT_TRUE(memory_.add(region(0x1000, 0x10'0000, first_)));
  ASSERT_FALSE(memory_.find(0x1000, 1).empty());
  EXPECT_EQ(memory_.remove(0x1000, 0x10'0000, 0x800).error(), MemoryFault::kNoSuchRegion);
  const auto removed = memory_.remove(0x1000, 0x10'0000, 0x1000);
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->bytes.data(), first_.data());
  EXPECT_TRUE(memory_.find(0x1000, 1).empty());
}

TEST_F(GuestMemoryTest, AllAreReplacedOrNone) {
  ASSERT_TRUE(memory_.add(region(0x1000, 0x1000, first_)));
  ASSERT_FALSE(memory_.find(0x1000, 1).empty());
  const std::vector<MemoryRegion> twice = {region(0, 0, second_), region(0, 0, second_)};
  EXPECT_EQ(memory_.replace(twice).error(), MemoryFault::kOverlap);
  EXPECT_EQ(memory_.find(0x1000, 1).data(), first_.data());
  ASSERT_TRUE(memory_.replace(std::span(twice).first(1)));
  EXPECT_EQ(memory_.find(0x1000, 1).data(), &second_[0x1000]);
  memory_.clear();
  EXPECT_TRUE(memory_.find(0x1000, 1).empty());
}

TEST_F(GuestMemoryTest, WrittenPiecesAreMarkedAsFarAsTheyWere) {
  ASSERT_TRUE(memory_.add(region(0x8000, 0x1000, first_)));
  ASSERT_TRUE(memory_.add(region(0xa000, 0x4000, second_)));
  const std::vector<MutableBytes> pieces = {MutableBytes(first_).subspan(8, 8),
                                            MutableBytes(second_).subspan(0x1000, 8)};
  memory_.written(pieces, 16);  // No log, no mark.
  std::vector<std::uint8_t> bitmap(2);
  memory_.set_dirty_log(DirtyLog(bitmap));
  memory_.written(pieces, 8);
  EXPECT_EQ(bitmap, (std::vector<std::uint8_t>{0, 0b0000'0001}));
  memory_.written(pieces, 9);
  EXPECT_EQ(bitmap, (std::vector<std::uint8_t>{0, 0b0000'1001}));
}

}  // namespace
}  // namespace sluice::virtio
