#include "virtio/net/receive_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <numeric>

#include "unit/virtio/mock_drivers.h"

namespace sluice::virtio::test {
namespace {

using Bytes = std::vector<std::uint8_t>;
using wire::VirtioNetHeader;

class ReceiveQueueTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    driver_ = make_mock_driver({.size = 256,
                                .features = {.packed = GetParam()},
                                .base = GetParam() ? kPackedStart : 0,
                                .data_bytes = 4 * 1024 * 1024});
    ASSERT_TRUE(queue_.ring().start(driver_->memory(), driver_->config()));
    queue_.set_format(header_format({Feature::kVersion1, Feature::kMrgRxbuf}));
  }
  void offer(std::initializer_list<std::size_t> sizes) {
    std::vector<MockBuffer> chain;
    for (const std::size_t size : sizes) chain.push_back(driver_->writable(size));
    const auto id = driver_->offer(chain);
    ASSERT_TRUE(id);
    buffers_[*id] = chain;
    driver_->show();
  }
  void add_frame(std::size_t header, std::size_t payload, const VirtioNetHeader& offload = {}) {
    payloads_.emplace_back(payload);
    std::iota(payloads_.back().begin(), payloads_.back().end(), std::uint8_t{100});
    const MutableBytes room = batch_.add(header, payloads_.back(), offload);
    std::iota(room.begin(), room.end(), std::uint8_t{1});
  }
  [[nodiscard]] static Bytes expected(std::size_t header, std::size_t payload) {
    Bytes bytes(header + payload);
    const auto payload_at = bytes.begin() + static_cast<std::ptrdiff_t>(header);
    std::iota(bytes.begin(), payload_at, std::uint8_t{1});
    std::iota(payload_at, bytes.end(), std::uint8_t{100});
    return bytes;
  }
  // The next frame as the driver sees it: its header, then all else.
  std::pair<VirtioNetHeader, Bytes> receive() {
    Bytes all = next_used();
    EXPECT_GE(all.size(), VirtioNetHeader::kSize);
    if (all.size() < VirtioNetHeader::kSize) return {};
    const auto header = VirtioNetHeader::parse(ByteView(all).first<VirtioNetHeader::kSize>());
    for (int i = 1; i < header.num_buffers; ++i) {
      std::ranges::copy(next_used(), std::back_inserter(all));
    }
    all.erase(all.begin(), all.begin() + VirtioNetHeader::kSize);
    return {header, all};
  }
  Bytes next_used() {
    const auto used = driver_->take_used();
    if (!used) return {};
    Bytes bytes;
    std::size_t left = used->written;
    for (const MockBuffer& buffer : buffers_[used->id]) {
      const std::size_t part = std::min<std::size_t>(left, buffer.length);
      const MutableBytes at = driver_->at(buffer);
      bytes.insert(bytes.end(), at.begin(), at.begin() + static_cast<std::ptrdiff_t>(part));
      left -= part;
    }
    EXPECT_EQ(left, 0U);
    return bytes;
  }

  std::unique_ptr<MockDriver> driver_;
  ReceiveQueue queue_;
  wire::FrameBatch batch_;
  std::deque<Bytes> payloads_;
  std::map<std::uint16_t, std::vector<MockBuffer>> buffers_;
};

TEST_P(ReceiveQueueTest, FillStopsAtTheFirstFrameWithoutRoomAndGoesOnFromThere) {
  offer({1600});
  offer({1600});
  add_frame(54, 100);
  add_frame(54, 9000);
  add_frame(54, 200);
  EXPECT_EQ(queue_.fill(batch_, 0, 3).next, 1U);
  EXPECT_EQ(receive().second, expected(54, 100));
  EXPECT_EQ(queue_.fill(batch_, 1, 3).next, 1U) << "a later one does not overtake it";
  for (int i = 0; i < 8; ++i) offer({1600});
  EXPECT_EQ(queue_.fill(batch_, 1, 2).next, 2U);
  EXPECT_EQ(queue_.fill(batch_, 2, 3).next, 3U);
  EXPECT_EQ(receive().second, expected(54, 9000));
  EXPECT_EQ(receive().second, expected(54, 200));
  EXPECT_EQ(queue_.counters().frames, 3U);
}

TEST_P(ReceiveQueueTest, AFrameInOneBuffer) {
  offer({1526});
  const VirtioNetHeader offload{
      .flags = VirtioNetHeader::kNeedsCsum, .csum_start = 34, .csum_offset = 6};
  add_frame(42, 100, offload);
  const auto written = queue_.write(batch_);
  EXPECT_EQ(written.lost, 0U);
  EXPECT_TRUE(written.call);
  const auto [header, bytes] = receive();
  EXPECT_EQ(header.num_buffers, 1);
  EXPECT_EQ(header.flags, offload.flags);
  EXPECT_EQ(header.csum_offset, 6);
  EXPECT_EQ(bytes, expected(42, 100));
  EXPECT_EQ(queue_.ring().outstanding(), 0U);
}

TEST_P(ReceiveQueueTest, ALargeFrameTakesSeveralBuffers) {
  for (int i = 0; i < 100; ++i) offer({1526});
  add_frame(66, 65'000);
  add_frame(54, 0);
  add_frame(66, 20'000);
  EXPECT_EQ(queue_.write(batch_).lost, 0U);
  const auto [first_header, first] = receive();
  EXPECT_EQ(first_header.num_buffers, 43);
  EXPECT_EQ(first, expected(66, 65'000));
  EXPECT_EQ(receive().second, expected(54, 0));
  EXPECT_EQ(receive().second, expected(66, 20'000));
  EXPECT_FALSE(driver_->take_used());
}

TEST_P(ReceiveQueueTest, BuffersMayBeOfAnyPieces) {
  offer({5, 7, 1});
  offer({12, 3});
  offer({200});
  add_frame(42, 150);
  EXPECT_EQ(queue_.write(batch_).lost, 0U);
  const auto [header, bytes] = receive();
  EXPECT_EQ(header.num_buffers, 3);
  EXPECT_EQ(bytes, expected(42, 150));
}

TEST_P(ReceiveQueueTest, AFrameWithoutRoomIsLostAndItsBuffersStay) {
  offer({300});
  offer({300});
  add_frame(42, 1000);
  add_frame(42, 100);
  add_frame(42, 1000);
  add_frame(42, 101);
  add_frame(42, 102);
  EXPECT_EQ(queue_.write(batch_).lost, 3U);
  EXPECT_EQ(receive().second, expected(42, 100));
  EXPECT_EQ(receive().second, expected(42, 101));
  EXPECT_EQ(queue_.counters().no_room, 3U);
  EXPECT_EQ(queue_.counters().frames, 2U);
  EXPECT_EQ(queue_.ring().outstanding(), 0U);
  batch_.clear();
  offer({300});
  add_frame(42, 7);
  EXPECT_EQ(queue_.write(batch_).lost, 0U);
  EXPECT_EQ(receive().second, expected(42, 7));
}

TEST_P(ReceiveQueueTest, WithoutMergingABufferHoldsTheWholeFrame) {
  queue_.set_format(header_format({Feature::kVersion1}));
  offer({1526});
  offer({60, 66'000});
  add_frame(66, 20'000);
  EXPECT_EQ(queue_.write(batch_).lost, 1U);
  batch_.clear();
  add_frame(66, 100);
  add_frame(66, 20'000);
  EXPECT_EQ(queue_.write(batch_).lost, 0U);
  EXPECT_EQ(receive().second, expected(66, 100));
  const auto [header, bytes] = receive();
  EXPECT_EQ(header.num_buffers, 1);
  EXPECT_EQ(bytes, expected(66, 20'000));
}

TEST_P(ReceiveQueueTest, ALegacyHeaderHasTenBytes) {
  queue_.set_format(header_format({}));
  offer({1524});
  add_frame(42, 100);
  EXPECT_EQ(queue_.write(batch_).lost, 0U);
  const Bytes all = next_used();
  EXPECT_EQ(Bytes(all.begin() + 10, all.end()), expected(42, 100));
}

TEST_P(ReceiveQueueTest, MoreThanARingKeepsAtOnceIsPublishedInBetween) {
  driver_ = make_mock_driver({.size = 2048,
                              .features = {.packed = GetParam()},
                              .base = GetParam() ? kPackedStart : 0,
                              .data_bytes = 4 * 1024 * 1024});
  ASSERT_TRUE(queue_.ring().start(driver_->memory(), driver_->config()));
  for (int i = 0; i < 2048; ++i) offer({112});
  for (int i = 0; i < 20; ++i) add_frame(66, 10'000);
  EXPECT_EQ(queue_.write(batch_).lost, 0U);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(receive().second, expected(66, 10'000));
}

TEST_P(ReceiveQueueTest, ABufferTooSmallForAHeaderBreaksTheQueue) {
  offer({300});
  offer({11});
  offer({300});
  add_frame(42, 100);
  add_frame(42, 100);
  add_frame(42, 100);
  EXPECT_EQ(queue_.write(batch_).lost, 2U);
  EXPECT_EQ(queue_.ring().fault(), RingFault::kNoRoomForHeader);
  EXPECT_EQ(queue_.write(batch_).lost, 3U);
}

TEST_P(ReceiveQueueTest, AReadableBufferBreaksTheQueue) {
  ASSERT_TRUE(driver_->offer({driver_->readable(Bytes(300))}));
  driver_->show();
  add_frame(42, 100);
  EXPECT_EQ(queue_.write(batch_).lost, 1U);
  EXPECT_EQ(queue_.ring().fault(), RingFault::kNoRoomForHeader);
}

TEST_P(ReceiveQueueTest, AStoppedQueueLosesAll) {
  queue_.ring().stop();
  add_frame(42, 100);
  EXPECT_EQ(queue_.write(batch_).lost, 1U);
  EXPECT_FALSE(queue_.write(batch_).call);
}

class ReceiveRoomTest : public ReceiveQueueTest {
 protected:
  // As the kernel does it: puts bytes of a stream into the pieces, as many as there are.
  static void put(ByteView stream, std::span<const MutableBytes> room) {
    for (const MutableBytes piece : room) {
      const std::size_t part = std::min(piece.size(), stream.size());
      std::ranges::copy(stream.first(part), piece.begin());
      stream = stream.subspan(part);
    }
  }
  [[nodiscard]] static std::size_t size_of(std::span<const MutableBytes> room) {
    std::size_t bytes = 0;
    for (const MutableBytes piece : room) bytes += piece.size();
    return bytes;
  }
  // Frames whose payload is elsewhere.
  void add_cut(std::size_t payload) {
    nothing_.resize(70'000);
    const MutableBytes room = batch_.add(kHeaders, ByteView(nothing_).first(payload), {});
    std::ranges::fill(room, std::uint8_t{7});
  }
  [[nodiscard]] Bytes expected_of(std::size_t from, std::size_t payload) const {
    Bytes bytes(kHeaders, 7);
    bytes.insert(bytes.end(), stream_.begin() + static_cast<std::ptrdiff_t>(from),
                 stream_.begin() + static_cast<std::ptrdiff_t>(from + payload));
    return bytes;
  }
  void SetUp() override {
    ReceiveQueueTest::SetUp();
    for (std::size_t i = 0; i < stream_.size(); ++i) {
      stream_[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
    }
  }

  static constexpr std::size_t kHeaders = 54;
  Bytes stream_ = Bytes(100'000);
  Bytes nothing_;
};

TEST_P(ReceiveRoomTest, WhatIsPutThereIsThePayloadOfFrames) {
  for (int i = 0; i < 100; ++i) offer({1526});
  const auto room = queue_.room_for({.headers = kHeaders, .payload = 20'000, .bytes = 50'000});
  ASSERT_EQ(size_of(room), 50'000U);
  EXPECT_EQ(room.front().size(), 1526U - 12U - kHeaders);
  put(stream_, room);
  add_cut(20'000);
  add_cut(20'000);
  add_cut(10'000);
  const auto filled = queue_.fill_room(batch_);
  EXPECT_EQ(filled.next, 3U);
  EXPECT_TRUE(filled.call);
  const auto [header, first] = receive();
  EXPECT_EQ(header.num_buffers, 14);
  EXPECT_EQ(first, expected_of(0, 20'000));
  EXPECT_EQ(receive().second, expected_of(20'000, 20'000));
  EXPECT_EQ(receive().second, expected_of(40'000, 10'000));
  EXPECT_EQ(queue_.ring().outstanding(), 0U);
  EXPECT_EQ(queue_.counters().frames, 3U);
}

TEST_P(ReceiveRoomTest, WhatWasPeekedMayBeLess) {
  for (int i = 0; i < 50; ++i) offer({1526});
  put(stream_, queue_.room_for({.headers = kHeaders, .payload = 20'000, .bytes = 50'000}));
  add_cut(20'000);
  add_cut(1);
  EXPECT_EQ(queue_.fill_room(batch_).next, 2U);
  EXPECT_EQ(receive().second, expected_of(0, 20'000));
  const auto [header, second] = receive();
  EXPECT_EQ(header.num_buffers, 1);
  EXPECT_EQ(second, expected_of(20'000, 1));
  batch_.clear();
  add_frame(54, 50'000);
  EXPECT_EQ(queue_.write(batch_).lost, 0U) << "the other buffers are there as before";
  EXPECT_EQ(receive().second, expected(54, 50'000));
}

TEST_P(ReceiveRoomTest, ThereIsRoomForAsManyFramesAsThereAreBuffers) {
  for (int i = 0; i < 20; ++i) offer({1526});
  const auto room = queue_.room_for({.headers = kHeaders, .payload = 20'000, .bytes = 50'000});
  ASSERT_EQ(size_of(room), 20'000U);
  put(stream_, room);
  add_cut(20'000);
  add_frame(54, 300);
  EXPECT_EQ(queue_.fill_room(batch_).next, 1U) << "the other one is as any other";
  EXPECT_EQ(queue_.fill(batch_, 1, 2).next, 2U);
  EXPECT_EQ(receive().second, expected_of(0, 20'000));
  EXPECT_EQ(receive().second, expected(54, 300));
  EXPECT_TRUE(queue_.room_for({.headers = kHeaders, .payload = 20'000, .bytes = 50'000}).empty());
  EXPECT_EQ(queue_.ring().outstanding(), 0U);
}

TEST_P(ReceiveRoomTest, RoomThatIsLeftIsTheDriversAgain) {
  for (int i = 0; i < 4; ++i) offer({30'000});
  ASSERT_FALSE(queue_.room_for({.headers = kHeaders, .payload = 20'000, .bytes = 90'000}).empty());
  queue_.leave_room();
  EXPECT_EQ(queue_.ring().outstanding(), 0U);
  EXPECT_FALSE(driver_->take_used());
  for (int i = 0; i < 4; ++i) add_frame(54, 20'000);
  EXPECT_EQ(queue_.write(batch_).lost, 0U);
}

TEST_P(ReceiveRoomTest, WithoutMergingEachFrameHasOneBuffer) {
  queue_.set_format(header_format({Feature::kVersion1}));
  offer({20'000 + 12 + kHeaders});
  offer({30, 1400, 18'700});
  offer({1526});
  const auto room = queue_.room_for({.headers = kHeaders, .payload = 20'000, .bytes = 60'000});
  ASSERT_EQ(size_of(room), 40'000U);
  put(stream_, room);
  add_cut(20'000);
  add_cut(20'000);
  EXPECT_EQ(queue_.fill_room(batch_).next, 2U);
  EXPECT_EQ(receive().second, expected_of(0, 20'000));
  EXPECT_EQ(receive().second, expected_of(20'000, 20'000));
}

TEST_P(ReceiveRoomTest, SmallPiecesAreNone) {
  for (int i = 0; i < 200; ++i) offer({700});
  EXPECT_TRUE(queue_.room_for({.headers = kHeaders, .payload = 20'000, .bytes = 50'000}).empty());
  EXPECT_EQ(queue_.ring().outstanding(), 0U);
}

TEST_P(ReceiveRoomTest, ThePiecesHaveABound) {
  driver_ = make_mock_driver({.size = 1024,
                              .features = {.packed = GetParam()},
                              .base = GetParam() ? kPackedStart : 0,
                              .data_bytes = 4 * 1024 * 1024});
  ASSERT_TRUE(queue_.ring().start(driver_->memory(), driver_->config()));
  for (int i = 0; i < 1024; ++i) offer({1100});
  const auto room = queue_.room_for({.headers = kHeaders, .payload = 65'000, .bytes = 1'000'000});
  EXPECT_LE(room.size(), ReceiveQueue::kRoomPiecesMax);
  EXPECT_EQ(size_of(room) % 65'000, 0U);
  EXPECT_GE(size_of(room), 7 * 65'000U);
}

TEST_P(ReceiveRoomTest, ABrokenRingHasNone) {
  for (int i = 0; i < 2; ++i) offer({30'000});
  offer({11});
  EXPECT_TRUE(queue_.room_for({.headers = kHeaders, .payload = 20'000, .bytes = 60'000}).empty());
  EXPECT_EQ(queue_.ring().fault(), RingFault::kNoRoomForHeader);
  EXPECT_TRUE(queue_.room_for({.headers = kHeaders, .payload = 20'000, .bytes = 60'000}).empty());
}

using ReceiveRoomDeathTest = ReceiveRoomTest;

TEST_P(ReceiveRoomDeathTest, FramesThatAreCutOtherwiseAreABug) {
  for (int i = 0; i < 4; ++i) offer({30'000});
  ASSERT_FALSE(queue_.room_for({.headers = kHeaders, .payload = 20'000, .bytes = 40'000}).empty());
  add_cut(10'000);
  add_cut(20'000);
  EXPECT_DEATH((void)queue_.fill_room(batch_), "not cut");
}

INSTANTIATE_TEST_SUITE_P(Formats, ReceiveRoomTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& one) {
                           return one.param ? std::string("Packed") : std::string("Split");
                         });

INSTANTIATE_TEST_SUITE_P(Formats, ReceiveRoomDeathTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& one) {
                           return one.param ? std::string("Packed") : std::string("Split");
                         });

INSTANTIATE_TEST_SUITE_P(Formats, ReceiveQueueTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& one) {
                           return one.param ? std::string("Packed") : std::string("Split");
                         });

}  // namespace
}  // namespace sluice::virtio::test
