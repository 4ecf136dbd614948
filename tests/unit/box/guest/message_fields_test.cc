#include "box/guest/message_fields.h"

#include <gtest/gtest.h>

namespace sluice::box {
namespace {

TEST(MessageFields, NumbersAreLittleEndian) {
  std::vector<std::uint8_t> out;
  FieldWriter writer(out);
  writer.field(std::uint32_t{0x01020304});
  writer.field(std::int32_t{-2});
  EXPECT_EQ(out, (std::vector<std::uint8_t>{4, 3, 2, 1, 0xfe, 0xff, 0xff, 0xff}));
  FieldReader reader(out);
  std::uint32_t first = 0;
  std::int32_t second = 0;
  reader.field(first);
  reader.field(second);
  EXPECT_TRUE(reader.complete());
  EXPECT_EQ(first, 0x01020304U);
  EXPECT_EQ(second, -2);
}

TEST(MessageFields, ACountWithoutItemsCostsNothing) {
  const std::vector<std::uint8_t> bytes = {0xff, 0xff, 0xff, 0x7f, 1};
  FieldReader reader(bytes);
  std::vector<std::string> items;
  reader.list(items, [](auto& io, auto& item) { io.field(item); });
  EXPECT_FALSE(reader.complete());
  EXPECT_EQ(items.capacity(), 0U);
  FieldReader text_reader(bytes);
  std::string text;
  text_reader.field(text);
  EXPECT_FALSE(text_reader.complete());
  EXPECT_TRUE(text.empty());
}

TEST(MessageFields, FlagsAndChoicesHaveBounds) {
  enum class Two : std::uint8_t { kOne, kOther };
  const std::vector<std::uint8_t> bytes = {2, 2};
  FieldReader flag_reader(ByteView(bytes).first(1));
  bool flag = false;
  flag_reader.flag(flag);
  EXPECT_FALSE(flag_reader.complete());
  FieldReader choice_reader(ByteView(bytes).first(1));
  Two two = Two::kOne;
  choice_reader.choice(two, Two::kOther);
  EXPECT_FALSE(choice_reader.complete());
  EXPECT_EQ(two, Two::kOne);
}

}  // namespace
}  // namespace sluice::box
