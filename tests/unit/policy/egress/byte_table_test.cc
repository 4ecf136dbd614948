#include "policy/egress/byte_table.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::policy {
namespace {

ByteView bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TEST(ByteTable, NumbersStringsInOrderOfTheirComing) {
  ByteTable table;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const std::string text = std::to_string(i);
    EXPECT_EQ(table.find(i % 7, bytes(text)), ByteTable::kNone);
    // Few hashes, so that most collide.
    EXPECT_EQ(table.insert(i % 7, bytes(text)), i);
  }
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const std::string text = std::to_string(i);
    EXPECT_EQ(table.insert(i % 7, bytes(text)), i);
    EXPECT_EQ(table.find(i % 7, bytes(text)), i);
  }
  EXPECT_EQ(table.size(), 1000u);
}

}  // namespace
}  // namespace sluice::policy
