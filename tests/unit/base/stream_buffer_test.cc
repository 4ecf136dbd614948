#include "base/stream_buffer.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace sluice {
namespace {

constexpr std::size_t kBlock = BlockPool::kBlockSize;

std::vector<std::uint8_t> read(const StreamBuffer& buffer, std::uint64_t from,
                               std::uint64_t until) {
  std::vector<std::uint8_t> bytes;
  while (from < until) {
    std::array<ByteView, 3> pieces;
    const std::size_t count = buffer.pieces(from, until, pieces);
    for (std::size_t i = 0; i < count; ++i) {
      bytes.insert(bytes.end(), pieces[i].begin(), pieces[i].end());
      from += pieces[i].size();
    }
  }
  return bytes;
}

TEST(StreamBuffer, KeepsBytesAtTheirOffsetsWhateverTheOrder) {
  std::vector<std::uint8_t> stream(10 * kBlock);
  std::mt19937 random(3);  // NOLINT(cert-msc51-cpp): a fixed seed replays.
  for (std::uint8_t& byte : stream) byte = static_cast<std::uint8_t>(random());
  BlockPool pool(64 * kBlock);
  StreamBuffer buffer(pool);
  constexpr std::uint64_t kStart = 7 * kBlock + 123;
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at < stream.size(); at += 4096) starts.push_back(at);
  std::shuffle(starts.begin(), starts.end(), random);
  for (const std::size_t at : starts) {
    EXPECT_EQ(buffer.insert(kStart + at, ByteView(stream).subspan(at, 4096)), 4096U);
  }
  EXPECT_EQ(read(buffer, kStart, kStart + stream.size()), stream);
  buffer.release_before(kStart + 5 * kBlock);
  const std::vector<std::uint8_t> tail(stream.begin() + 5 * kBlock, stream.end());
  EXPECT_EQ(read(buffer, kStart + 5 * kBlock, kStart + stream.size()), tail);
  buffer.clear();
  EXPECT_EQ(pool.blocks_taken(), 0U);
}

// Whatever a caller believes to have put there: neither what found no room nor what lies between.
TEST(StreamBuffer, GivesOutOnlyBytesThatAreThere) {
  BlockPool pool(2 * kBlock);
  StreamBuffer buffer(pool);
  const std::vector<std::uint8_t> bytes(3 * kBlock, 1);
  ASSERT_EQ(buffer.insert(100, ByteView(bytes).first(50)), 50U);
  ASSERT_EQ(buffer.insert(200, bytes), 2 * kBlock - 200);
  std::array<ByteView, 8> pieces;
  EXPECT_EQ(buffer.pieces(0, 100, pieces), 0U);
  EXPECT_EQ(buffer.pieces(150, 300, pieces), 0U);
  ASSERT_EQ(buffer.pieces(120, 300, pieces), 1U);
  EXPECT_EQ(pieces[0].size(), 30U);
  ASSERT_EQ(buffer.pieces(kBlock, 4 * kBlock, pieces), 1U);
  EXPECT_EQ(pieces[0].size(), kBlock);
  EXPECT_EQ(buffer.pieces(2 * kBlock, 3 * kBlock, pieces), 0U);
  EXPECT_EQ(buffer.present_until(120), 150U);
  EXPECT_EQ(buffer.present_until(160), 160U);
  EXPECT_EQ(buffer.present_until(200), 2 * kBlock);
}

TEST(StreamBuffer, KeepsNoBlockWithoutBytes) {
  BlockPool pool(2 * kBlock);
  StreamBuffer buffer(pool);
  const std::vector<std::uint8_t> bytes(100, 1);
  ASSERT_EQ(buffer.insert(0, bytes), 100U);
  buffer.release_before(99);
  EXPECT_EQ(pool.blocks_taken(), 1U);
  buffer.release_before(100);
  EXPECT_EQ(pool.blocks_taken(), 0U);
  EXPECT_FALSE(buffer.holds_blocks());
}

TEST(StreamBuffer, TellsHowMuchTheBoundedPoolTook) {
  BlockPool pool(2 * kBlock);
  StreamBuffer buffer(pool);
  const std::vector<std::uint8_t> bytes(3 * kBlock, 1);
  EXPECT_EQ(buffer.insert(10, bytes), 2 * kBlock - 10);
  EXPECT_EQ(pool.bytes_free(), 0U);
  buffer.release_before(kBlock);
  EXPECT_EQ(pool.bytes_free(), kBlock);
}

}  // namespace
}  // namespace sluice
