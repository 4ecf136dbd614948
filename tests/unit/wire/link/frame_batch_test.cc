#include "wire/link/frame_batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

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

TEST(FrameIn, WithoutARestIsWholeAsItIs) {
  const std::array<std::uint8_t, 4> bytes{1, 2, 3, 4};
  const FrameIn frame{.bytes = bytes, .offload = {}};
  EXPECT_EQ(frame.size(), 4U);
  EXPECT_EQ(frame.whole().data(), bytes.data());
  EXPECT_EQ(frame.whole().size(), 4U);
}

TEST(FrameIn, PiecesBecomeWholeBehindTheHead) {
  std::array<std::uint8_t, 6> room{1, 2};
  const std::array<std::uint8_t, 3> first{3, 4, 5};
  const std::array<std::uint8_t, 1> second{6};
  const std::array<ByteView, 2> rest{ByteView(first), ByteView(second)};
  const FrameIn frame{.bytes = ByteView(room).first(2), .offload = {}, .rest = rest, .room = room};
  EXPECT_EQ(frame.size(), 6U);
  for (int again = 0; again < 2; ++again) {
    const ByteView whole = frame.whole();
    EXPECT_EQ(whole.data(), room.data());
    EXPECT_EQ(std::vector<int>(whole.begin(), whole.end()), (std::vector{1, 2, 3, 4, 5, 6}));
  }
}

}  // namespace
}  // namespace sluice::wire
