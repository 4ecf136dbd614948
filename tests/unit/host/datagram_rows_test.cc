#include "host/datagram_rows.h"

#include <gtest/gtest.h>

#include <cstring>

namespace sluice::host {
namespace {

TEST(DatagramRows, EachSlotHasRoomOfItsOwnForTheLargestDatagram) {
  DatagramRows rows(3);
  const auto slots = rows.slots();
  ASSERT_EQ(slots.size(), 3U);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    ASSERT_EQ(slots[i].buffer.size(), 1U);
    ASSERT_EQ(slots[i].buffer[0].iov_len, DatagramRows::kRowSize);
    std::memset(slots[i].buffer[0].iov_base, static_cast<int>(i + 1), DatagramRows::kRowSize);
    slots[i].length = DatagramRows::kRowSize;
  }
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const ByteView bytes = DatagramRows::bytes_of(slots[i]);
    EXPECT_EQ(bytes.front(), i + 1);
    EXPECT_EQ(bytes.back(), i + 1);
  }
  EXPECT_EQ(rows.room().data(), slots[0].buffer[0].iov_base);
  EXPECT_EQ(rows.room().size(), DatagramRows::kRowSize);
}

}  // namespace
}  // namespace sluice::host
