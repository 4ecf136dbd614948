#include "sys/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace sluice::sys {
namespace {

TEST(Random, EveryWordIsDrawnAnew) {
  using Words = std::array<std::uint64_t, 4>;
  const auto one = draw_random<Words>();
  const auto other = draw_random<Words>();
  ASSERT_TRUE(one && other);
  for (std::size_t i = 0; i < one->size(); ++i) {
    EXPECT_NE((*one)[i], 0u);
    EXPECT_NE((*one)[i], (*other)[i]);
  }
}

}  // namespace
}  // namespace sluice::sys
