#include "box/boot/little_endian.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace sluice::box {
namespace {

TEST(LittleEndian, StoresTheLowestByteFirst) {
  std::array<std::uint8_t, 10> bytes{};
  store_le<std::uint32_t>(bytes, 1, 0x0403'0201);
  EXPECT_EQ(bytes, (std::array<std::uint8_t, 10>{0, 1, 2, 3, 4}));
}

TEST(LittleEndian, LoadsWhatItStored) {
  std::array<std::uint8_t, 10> bytes{};
  store_le<std::uint64_t>(bytes, 2, 0xfedc'ba98'7654'3210);
  EXPECT_EQ(load_le<std::uint64_t>(bytes, 2), 0xfedc'ba98'7654'3210U);
  EXPECT_EQ(load_le<std::uint16_t>(bytes, 2), 0x3210U);
  EXPECT_EQ(load_le<std::uint8_t>(bytes, 9), 0xfeU);
}

}  // namespace
}  // namespace sluice::box
