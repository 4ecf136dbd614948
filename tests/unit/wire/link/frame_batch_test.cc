#include "wire/link/frame_batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

namespace sluice::wire {
namespace {

std::string header_of(const FrameBatch& batch, std::size_t which) {
  const ByteView header = batch.header(batch.begin()[static_cast<std::ptrdiff_t>(which)]);
  return {header.begin(), header.end()};
}

TEST(FrameBatch, HeadersStayWhileTheArenaGrows) {
  FrameBatch batch;
  constexpr std::size_t kMany = 5000;
  for (std::size_t i = 0; i < kMany; ++i) {
    std::ranges::fill(batch.add(40, {}, {}), static_cast<std::uint8_t>('a' + i % 26));
  }
  ASSERT_EQ(batch.size(), kMany);
  for (std::size_t i = 0; i < kMany; ++i) {
    ASSERT_EQ(header_of(batch, i), std::string(40, static_cast<char>('a' + i % 26))) << i;
  }
}

TEST(FrameBatch, PayloadAndOffloadAreAsTheyWereGiven) {
  const std::array<std::uint8_t, 3> payload{1, 2, 3};
  FrameBatch batch;
  std::ranges::fill(batch.add(14, payload, {.flags = VirtioNetHeader::kNeedsCsum}), 'h');
  const FrameOut& frame = *batch.begin();
  EXPECT_EQ(frame.payload.data(), payload.data());
  EXPECT_EQ(frame.payload.size(), payload.size());
  EXPECT_TRUE(frame.offload.needs_checksum());
}

TEST(FrameBatch, RoomThatWasNotNeededIsTheNextFrames) {
  FrameBatch batch;
  std::ranges::fill(batch.add(100, {}, {}), 'a');
  batch.shrink(10);
  std::ranges::fill(batch.add(20, {}, {}), 'b');
  ASSERT_EQ(batch.size(), 2U);
  EXPECT_EQ(header_of(batch, 0), std::string(10, 'a'));
  EXPECT_EQ(header_of(batch, 1), std::string(20, 'b'));
}

TEST(FrameBatch, AFrameWithoutAByteIsNone) {
  FrameBatch batch;
  (void)batch.add(100, {}, {});
  batch.shrink(0);
  EXPECT_TRUE(batch.empty());
}

TEST(FrameBatch, AfterClearingItIsEmpty) {
  FrameBatch batch;
  std::ranges::fill(batch.add(10, {}, {}), 'a');
  batch.clear();
  EXPECT_TRUE(batch.empty());
  std::ranges::fill(batch.add(5, {}, {}), 'b');
  EXPECT_EQ(header_of(batch, 0), std::string(5, 'b'));
}

}  // namespace
}  // namespace sluice::wire
