#include "wire/byte_cursor.h"

#include <gtest/gtest.h>

#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

TEST(ByteReader, ReadsPastTheEndAreZeroForGood) {
  const Bytes bytes = from_hex("01 0203 04050607 08");
  ByteReader in(bytes);
  EXPECT_EQ(in.u8(), 0x01);
  EXPECT_EQ(in.u16(), 0x0203);
  EXPECT_EQ(in.u32(), 0x04050607U);
  EXPECT_EQ(in.position(), 7U);
  EXPECT_TRUE(in.ok());
  EXPECT_EQ(in.u16(), 0);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.u8(), 0);  // Even the byte that was left.
  EXPECT_TRUE(in.empty());
}

TEST(ByteWriter, WritesPastTheEndAreLostForGood) {
  Bytes out(5);
  ByteWriter writer(out);
  writer.u8(1);
  writer.u16(0x0203);
  writer.u32(0x04050607);
  EXPECT_FALSE(writer.ok());
  writer.u8(9);
  EXPECT_EQ(writer.size(), 3U);
  EXPECT_EQ(writer.finish(), std::nullopt);
  EXPECT_EQ(out, from_hex("01 0203 0000"));
}

TEST(ByteWriter, PatchesOnlyWhatWasWritten) {
  Bytes out(4, 0xee);
  ByteWriter writer(out);
  writer.u16(0);
  writer.patch16(0, 0x1234);
  writer.patch16(1, 0xffff);
  writer.patch8(2, 0xff);
  EXPECT_EQ(out, from_hex("1234 eeee"));
  EXPECT_EQ(writer.finish(), 2U);
}

}  // namespace
}  // namespace sluice::wire
