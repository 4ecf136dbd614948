#include "virtio/ring/ring_words.h"

#include <gtest/gtest.h>

#include <array>

namespace sluice::virtio {
namespace {

TEST(RingWords, AreLittleEndian) {
  alignas(8) std::array<std::uint8_t, 8> bytes{1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(load_word<std::uint16_t>(bytes.data() + 2, std::memory_order_relaxed), 0x0403);
  EXPECT_EQ(load_word<std::uint64_t>(bytes.data(), std::memory_order_acquire),
            0x0807'0605'0403'0201U);
  store_word<std::uint32_t>(bytes.data() + 4, 0x0a0b'0c0d, std::memory_order_release);
  EXPECT_EQ(bytes, (std::array<std::uint8_t, 8>{1, 2, 3, 4, 0x0d, 0x0c, 0x0b, 0x0a}));
  EXPECT_TRUE(is_aligned(bytes.data(), 8));
  EXPECT_FALSE(is_aligned(bytes.data() + 2, 4));
}

// With 16 bits, as the indices have them.
TEST(RingWords, AnEventIsPassedOnce) {
  EXPECT_TRUE(passed_event(5, 6, 5));
  EXPECT_TRUE(passed_event(5, 9, 5));
  EXPECT_FALSE(passed_event(5, 5, 4));
  EXPECT_FALSE(passed_event(5, 7, 6));
  EXPECT_TRUE(passed_event(0xffff, 0, 0xffff));
  EXPECT_TRUE(passed_event(0xffff, 3, 0xfff0));
  EXPECT_FALSE(passed_event(3, 3, 0xfff0));
  EXPECT_FALSE(passed_event(5, 5, 5));
}

}  // namespace
}  // namespace sluice::virtio
