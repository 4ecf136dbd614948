#include "forward/datagram/datagram_framing.h"

#include <gtest/gtest.h>

#include <random>

#include "forward/datagram/datagram_queue.h"

namespace sluice::forward {
namespace {

using Bytes = std::vector<std::uint8_t>;

void append_frame(Bytes& stream, const Bytes& datagram) {
  const auto header = frame_header(datagram.size());
  stream.insert(stream.end(), header.begin(), header.end());
  stream.insert(stream.end(), datagram.begin(), datagram.end());
}

std::vector<Bytes> read_in_pieces(FrameReader& reader, ByteView stream, std::size_t piece) {
  std::vector<Bytes> frames;
  while (!stream.empty()) {
    const std::size_t size = std::min(piece, stream.size());
    reader.feed(stream.first(size));
    ByteView frame;
    while (reader.next(frame)) frames.emplace_back(frame.begin(), frame.end());
    reader.settle();
    stream = stream.subspan(size);
  }
  return frames;
}

TEST(DatagramFraming, HeaderIsBigEndian) {
  EXPECT_EQ(frame_header(0x1234), (std::array<std::uint8_t, 2>{0x12, 0x34}));
  EXPECT_EQ(frame_header(65'535), (std::array<std::uint8_t, 2>{0xff, 0xff}));
}

TEST(DatagramFraming, FramesSurviveAnyCutOfTheStream) {
  std::mt19937 random(7);
  std::vector<Bytes> sent;
  Bytes stream;
  for (const std::size_t size : {0UL, 1UL, 2UL, 0UL, 0UL, 255UL, 256UL, 1472UL, 65'535UL, 3UL}) {
    Bytes datagram(size);
    for (auto& byte : datagram) byte = static_cast<std::uint8_t>(random());
    append_frame(stream, datagram);
    sent.push_back(datagram);
  }
  for (const std::size_t piece : {1UL, 2UL, 3UL, 5UL, 700UL, 65'536UL, 1'000'000UL}) {
    FrameReader reader;
    EXPECT_EQ(read_in_pieces(reader, stream, piece), sent) << piece;
    EXPECT_FALSE(reader.inside_frame()) << piece;
  }
}

TEST(DatagramFraming, AStreamThatEndsInsideAFrameIsKnown) {
  Bytes stream;
  append_frame(stream, Bytes(10, 1));
  append_frame(stream, Bytes(4, 2));
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    FrameReader reader;
    (void)read_in_pieces(reader, ByteView(stream).first(cut), 3);
    const bool at_border = cut == 0 || cut == 12 || cut == stream.size();
    EXPECT_EQ(reader.inside_frame(), !at_border) << cut;
  }
}

TEST(DatagramFraming, FramesOfOnePieceStayValidTogether) {
  Bytes stream;
  append_frame(stream, Bytes(5, 1));
  append_frame(stream, Bytes(6, 2));
  append_frame(stream, Bytes(7, 3));
  FrameReader reader;
  ByteView frame;
  reader.feed(ByteView(stream).first(4));
  EXPECT_FALSE(reader.next(frame));
  reader.settle();
  reader.feed(ByteView(stream).subspan(4, stream.size() - 6));
  std::vector<ByteView> frames;
  while (reader.next(frame)) frames.push_back(frame);
  // The first came in two pieces, the second whole, the third is not whole.
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(Bytes(frames[0].begin(), frames[0].end()), Bytes(5, 1));
  EXPECT_EQ(Bytes(frames[1].begin(), frames[1].end()), Bytes(6, 2));
  EXPECT_TRUE(reader.inside_frame());
}

TEST(DatagramQueue, GivesBytesInOrderAndMemoryBack) {
  DatagramQueue queue;
  EXPECT_TRUE(queue.empty());
  Bytes expected;
  Bytes got;
  for (std::uint8_t round = 0; round < 200; ++round) {
    const Bytes added(100, round);
    queue.append(added);
    expected.insert(expected.end(), added.begin(), added.end());
    const std::size_t take = std::min<std::size_t>(queue.size(), round % 2 == 0 ? 30 : 150);
    const ByteView head = queue.bytes().first(take);
    got.insert(got.end(), head.begin(), head.end());
    queue.consume(take);
  }
  got.insert(got.end(), queue.bytes().begin(), queue.bytes().end());
  queue.consume(queue.size());
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(got, expected);
}

}  // namespace
}  // namespace sluice::forward
