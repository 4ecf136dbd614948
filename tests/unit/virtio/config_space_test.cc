#include "virtio/config_space.h"

#include <gtest/gtest.h>

#include <array>

namespace sluice::virtio {
namespace {

using Four = std::array<std::uint8_t, 4>;

[[nodiscard]] Four read_at(std::size_t offset) {
  constexpr std::array<std::uint8_t, 6> kConfig{1, 2, 3, 4, 5, 6};
  Four into{9, 9, 9, 9};
  read_config_space(kConfig, offset, into);
  return into;
}

TEST(ConfigSpace, IsReadFromAnyPlaceAndZeroBeyondItsEnd) {
  EXPECT_EQ(read_at(0), (Four{1, 2, 3, 4}));
  EXPECT_EQ(read_at(2), (Four{3, 4, 5, 6}));
  EXPECT_EQ(read_at(4), (Four{5, 6, 0, 0}));
  EXPECT_EQ(read_at(6), Four{});
  EXPECT_EQ(read_at(SIZE_MAX), Four{});
}

}  // namespace
}  // namespace sluice::virtio
