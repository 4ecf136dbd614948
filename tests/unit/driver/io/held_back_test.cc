#include "driver/io/held_back.h"

#include <gtest/gtest.h>

namespace sluice::driver {
namespace {

TEST(HeldBack, TheOldestOfThoseThatAreDueGoFirst) {
  HeldBack held;
  EXPECT_EQ(held.next_wakeup(), kNever);
  const Instant at{std::chrono::seconds(5)};
  flow::TcpId id;
  for (std::uint32_t i = 0; i < 4; ++i) {
    id.index = i;
    held.add(id, i == 0 ? at + std::chrono::seconds(1) : at);
  }
  EXPECT_EQ(held.next_wakeup(), at);
  for (std::uint32_t i = 1; i < 4; ++i) EXPECT_EQ(held.take_due(at)->index, i);
  EXPECT_FALSE(held.take_due(at));
  EXPECT_EQ(held.take_due(at + std::chrono::seconds(2))->index, 0U);
}

}  // namespace
}  // namespace sluice::driver
