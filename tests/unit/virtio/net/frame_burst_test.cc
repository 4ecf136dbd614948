#include "virtio/net/frame_burst.h"

#include <gtest/gtest.h>

#include <algorithm>

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

}  // namespace
}  // namespace sluice::virtio
