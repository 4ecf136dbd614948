#include "link/frame_queue.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::link {
namespace {

[[nodiscard]] ByteView view(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] std::string text(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

TEST(FrameQueue, AFrameHasItsLengthBeforeIt) {
  FrameQueue queue(1000);
  EXPECT_TRUE(queue.empty());
  ASSERT_TRUE(queue.push(view("head"), view("payload")));
  EXPECT_EQ(text(queue.bytes()), std::string("\0\0\0\x0bheadpayload", 15));
  EXPECT_EQ(text(queue.frame_at(0)), "headpayload");
}

TEST(FrameQueue, WhatHasGoneIsNotKept) {
  for (std::size_t sent = 1; sent < 15; ++sent) {
    FrameQueue queue(1000);
    ASSERT_TRUE(queue.push(view("head"), view("payload"), sent));
    EXPECT_EQ(text(queue.bytes()), std::string("\0\0\0\x0bheadpayload", 15).substr(sent));
  }
}

TEST(FrameQueue, TheBoundHoldsButForTheRestOfAFrame) {
  FrameQueue queue(30);
  ASSERT_TRUE(queue.push(view("0123456789"), {}));
  ASSERT_TRUE(queue.push(view("0123456789"), {}));
  EXPECT_FALSE(queue.push(view("0123456789"), {}));
  EXPECT_EQ(queue.size(), 28U);
  EXPECT_TRUE(queue.push(view("0123456789"), {}, 1));
  EXPECT_EQ(queue.size(), 41U);
}

TEST(FrameQueue, ItIsTakenFromTheFrontInAnyPieces) {
  FrameQueue queue(100);
  std::string in;
  std::string out;
  for (int i = 0; i < 500; ++i) {
    const std::string frame(static_cast<std::size_t>(1 + i % 19), static_cast<char>('a' + i % 26));
    ASSERT_TRUE(queue.push(view(frame), {}));
    in += std::string("\0\0\0", 3) + static_cast<char>(frame.size()) + frame;
    while (queue.size() > 70) {
      const auto piece = static_cast<std::size_t>(1 + i % 7);
      out += text(queue.bytes().first(piece));
      queue.pop(piece);
    }
  }
  out += text(queue.bytes());
  EXPECT_EQ(out, in);
  queue.pop(queue.size());
  EXPECT_TRUE(queue.empty());
}

TEST(FrameQueue, TheMemoryOfALargeBurstIsGivenBack) {
  constexpr std::size_t kLarge = 4 << 20;
  FrameQueue queue(2 * kLarge);
  const std::vector<std::uint8_t> frame(kLarge);
  ASSERT_TRUE(queue.push(frame, {}));
  queue.pop(queue.size());
  ASSERT_TRUE(queue.push(view("small"), {}));
  // Nothing of it has gone, so that its first byte is where its memory begins.
  EXPECT_LT(::malloc_usable_size(const_cast<std::uint8_t*>(queue.bytes().data())), kLarge / 4);
}

}  // namespace
}  // namespace sluice::link
