#include "virtio/net/frame_burst.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace sluice::virtio {
namespace {

TEST(FrameBurst, IsFullByFrames) {
  FrameBurst burst;
  for (std::size_t i = 0; i < FrameBurst::kFramesMax; ++i) {
    ASSERT_FALSE(burst.full());
    const MutableBytes room = burst.room(60);
    burst.keep(room, {.bytes = room.subspan(12), .offload = {}});
  }
  EXPECT_TRUE(burst.full());
  burst.clear();
  EXPECT_FALSE(burst.full());
  EXPECT_TRUE(burst.frames().empty());
}

TEST(FrameBurst, IsFullByBytes) {
  FrameBurst burst;
  std::size_t frames = 0;
  for (; !burst.full(); ++frames) {
    const MutableBytes room = burst.room(FrameBurst::kFrameMax);
    std::ranges::fill(room, static_cast<std::uint8_t>(frames));
    burst.keep(room, {.bytes = room, .offload = {}});
  }
  EXPECT_EQ(frames, (FrameBurst::kBytesMax + FrameBurst::kFrameMax - 1) / FrameBurst::kFrameMax);
  for (std::size_t i = 0; i < frames; ++i) EXPECT_EQ(burst.frames()[i].bytes.back(), i);
}

TEST(FrameBurst, BorrowedPiecesHaveABound) {
  FrameBurst burst;
  const std::vector<std::uint8_t> bytes(64);
  const std::vector<ByteView> others(9, bytes);
  std::span<const ByteView> oldest;
  std::size_t frames = 0;
  for (;; ++frames) {
    const auto rest = burst.borrow(ByteView(bytes).first(3), others);
    if (rest.empty()) break;
    ASSERT_EQ(rest.size(), 10U);
    if (frames == 0) oldest = rest;
  }
  EXPECT_EQ(frames, FrameBurst::kPiecesMax / 10);
  // They stay where they are.
  EXPECT_EQ(oldest.front().size(), 3U);
  EXPECT_EQ(oldest.back().data(), bytes.data());
  burst.clear();
  EXPECT_EQ(burst.borrow({}, others).size(), 9U);
}

TEST(FrameBurst, NobodyBorrowsWhereThatIsNotSafe) {
  FrameBurst burst;
  burst.set_borrowing(false);
  const std::vector<std::uint8_t> bytes(64);
  EXPECT_TRUE(burst.borrow(bytes, {}).empty());
}

}  // namespace
}  // namespace sluice::virtio
