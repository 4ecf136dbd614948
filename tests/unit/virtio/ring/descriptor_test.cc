#include "virtio/ring/descriptor.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

namespace sluice::virtio {
namespace {

TEST(Descriptor, IsReadFromAnyAddress) {
  alignas(16) std::array<std::uint8_t, 64> bytes{};
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  for (std::size_t at = 0; at < 16; ++at) {
    const auto [address, rest] = load_descriptor(bytes.data() + at);
    EXPECT_EQ(address, 0x0706'0504'0302'0100U + at * 0x0101'0101'0101'0101U);
    EXPECT_EQ(rest, 0x0f0e'0d0c'0b0a'0908U + at * 0x0101'0101'0101'0101U);
  }
}

TEST(Descriptor, HasItsFieldsByFormat) {
  constexpr std::uint64_t kRest = 0x7777'0004'0000'0010;
  const Descriptor split = Descriptor::split(9, kRest);
  EXPECT_EQ(split.length, 0x10U);
  EXPECT_EQ(split.flags, Descriptor::kIndirect);
  EXPECT_EQ(split.next, 0x7777);
  const Descriptor packed = Descriptor::packed(9, kRest);
  EXPECT_EQ(packed.length, 0x10U);
  EXPECT_EQ(packed.flags, 0x7777);
  EXPECT_EQ(packed.next, 4);
}

}  // namespace
}  // namespace sluice::virtio
