#include "box/boot/long_mode.h"

#include <gtest/gtest.h>

#include <vector>

#include "box/boot/little_endian.h"
#include "box/boot/low_memory.h"

namespace sluice::box {
namespace {

// Walks the tables as a processor does.
std::uint64_t translate(ByteView low, std::uint64_t address) {
  const auto entry = [low](std::uint64_t table, std::uint64_t index) {
    return load_le<std::uint64_t>(low, table + index * 8);
  };
  constexpr std::uint64_t kFrame = ~std::uint64_t{0xfff};
  const std::uint64_t pointers = entry(kPageTables, address >> 39 & 511);
  const std::uint64_t directory = entry(pointers & kFrame, address >> 30 & 511);
  const std::uint64_t page = entry(directory & kFrame, address >> 21 & 511);
  for (const std::uint64_t each : {pointers, directory, page}) {
    EXPECT_EQ(each & 3, 3U) << address;  // Present and writable.
  }
  return (page & ~std::uint64_t{0x1f'ffff}) + (address & 0x1f'ffff);
}

TEST(LongMode, TheFirst4GiBAreMappedToThemselves) {
  std::vector<std::uint8_t> low(0x10'0000, 0xff);
  write_page_tables(low);
  for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{0x100'0200},
                                      std::uint64_t{0xd000'0050}, std::uint64_t{0xffff'ffff}}) {
    EXPECT_EQ(translate(low, address), address);
  }
  EXPECT_EQ(load_le<std::uint64_t>(low, kPageTables + 8), 0U);
  EXPECT_EQ(low[kPageTables + kPageTableBytes], 0xff);
}

TEST(LongMode, CodeAndDataHaveTheirDescriptors) {
  std::vector<std::uint8_t> low(0x1000, 0xff);
  write_descriptor_table(low);
  EXPECT_EQ(load_le<std::uint64_t>(low, kDescriptorTable), 0U);
  EXPECT_EQ(load_le<std::uint64_t>(low, kDescriptorTable + 0x10), 0x00af'9b00'0000'ffffU);
  EXPECT_EQ(load_le<std::uint64_t>(low, kDescriptorTable + 0x18), 0x00cf'9300'0000'ffffU);
}

}  // namespace
}  // namespace sluice::box
