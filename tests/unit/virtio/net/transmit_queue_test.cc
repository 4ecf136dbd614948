#include "virtio/net/transmit_queue.h"

#include <gtest/gtest.h>

#include <numeric>

#include "unit/flow/engine/guest_frames.h"
#include "unit/virtio/mock_drivers.h"

namespace sluice::virtio::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes frame_of(std::size_t size) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), static_cast<std::uint8_t>(size));
  return bytes;
}

Bytes header_bytes(const wire::VirtioNetHeader& header) {
  Bytes bytes(wire::VirtioNetHeader::kSize);
  header.emit(MutableBytes(bytes).first<wire::VirtioNetHeader::kSize>());
  return bytes;
}

class TransmitQueueTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    driver_ = make_mock_driver({.size = 256,
                                .features = {.packed = GetParam()},
                                .base = GetParam() ? kPackedStart : 0,
                                .data_bytes = 4 * 1024 * 1024});
    ASSERT_TRUE(queue_.ring().start(driver_->memory(), driver_->config()));
    queue_.set_format(header_format({Feature::kVersion1}));
  }
  void offer(const Bytes& frame, const wire::VirtioNetHeader& header = {}) {
    ASSERT_TRUE(
        driver_->offer({driver_->readable(header_bytes(header)), driver_->readable(frame)}));
  }
  bool read() {
    const auto drained = queue_.read(burst_);
    EXPECT_TRUE(drained);
    return drained && *drained;
  }
  [[nodiscard]] Bytes frame(std::size_t index) const {
    const ByteView bytes = burst_.frames()[index].bytes;
    return {bytes.begin(), bytes.end()};
  }

  std::unique_ptr<MockDriver> driver_;
  TransmitQueue queue_;
  FrameBurst burst_;
};

TEST_P(TransmitQueueTest, FramesComeWithTheirHeaders) {
  const wire::VirtioNetHeader header{.flags = wire::VirtioNetHeader::kNeedsCsum,
                                     .gso_type = wire::VirtioNetHeader::kGsoTcpV4,
                                     .hdr_len = 54,
                                     .gso_size = 1448,
                                     .csum_start = 34,
                                     .csum_offset = 16};
  offer(frame_of(60));
  offer(frame_of(1514), header);
  driver_->show();
  EXPECT_TRUE(read());
  ASSERT_EQ(burst_.frames().size(), 2U);
  EXPECT_EQ(frame(0), frame_of(60));
  EXPECT_EQ(frame(1), frame_of(1514));
  EXPECT_EQ(burst_.frames()[1].offload, header);
  EXPECT_FALSE(driver_->take_used());
  EXPECT_TRUE(queue_.release());
  EXPECT_TRUE(driver_->take_used());
  EXPECT_TRUE(driver_->take_used());
  EXPECT_FALSE(driver_->take_used());
  EXPECT_FALSE(queue_.release());
  EXPECT_EQ(queue_.counters().frames, 2U);
}

TEST_P(TransmitQueueTest, WhatTheGuestWritesLaterChangesNothing) {
  const MockBuffer content = driver_->readable(frame_of(100));
  ASSERT_TRUE(driver_->offer({driver_->readable(header_bytes({})), content}));
  driver_->show();
  EXPECT_TRUE(read());
  std::ranges::fill(driver_->at(content), std::uint8_t{0xff});
  EXPECT_EQ(frame(0), frame_of(100));
}

TEST_P(TransmitQueueTest, AFrameMayLieInAnyPieces) {
  Bytes all = header_bytes({.gso_size = 77});
  std::ranges::copy(frame_of(1000), std::back_inserter(all));
  std::vector<MockBuffer> pieces;
  for (std::size_t at = 0, size = 1; at < all.size(); at += size, ++size) {
    size = std::min(size, all.size() - at);
    pieces.push_back(driver_->readable(ByteView(all).subspan(at, size)));
  }
  ASSERT_TRUE(driver_->offer(pieces));
  driver_->show();
  EXPECT_TRUE(read());
  EXPECT_EQ(frame(0), frame_of(1000));
  EXPECT_EQ(burst_.frames()[0].offload.gso_size, 77);
}

constexpr wire::VirtioNetHeader kVouched{.flags = wire::VirtioNetHeader::kNeedsCsum};

Bytes tcp_frame(std::size_t payload, wire::TcpFlags flags = wire::kAck) {
  return flow::test::tcp_frame({}, {.guest = flow::test::endpoint("10.0.2.15:40000"),
                                    .remote = flow::test::endpoint("198.51.100.7:80"),
                                    .flags = flags,
                                    .payload = flow::test::stream(0, payload)});
}

TEST_P(TransmitQueueTest, LargeTcpDataStaysWhereItIs) {
  const Bytes sent = tcp_frame(60'000);
  const MockBuffer first = driver_->readable(ByteView(sent).first(66));
  const MockBuffer second = driver_->readable(ByteView(sent).subspan(66, 30'000));
  const MockBuffer third = driver_->readable(ByteView(sent).subspan(30'066));
  ASSERT_TRUE(driver_->offer({driver_->readable(header_bytes(kVouched)), first, second, third}));
  driver_->show();
  EXPECT_TRUE(read());
  ASSERT_EQ(burst_.frames().size(), 1U);
  const wire::FrameIn& frame = burst_.frames()[0];
  EXPECT_EQ(frame.offload, kVouched);
  EXPECT_EQ(frame.size(), sent.size());
  const std::size_t head = TransmitQueue::kHeadSize - wire::VirtioNetHeader::kSize;
  ASSERT_EQ(frame.bytes.size(), head);
  ASSERT_EQ(frame.rest.size(), 2U);
  EXPECT_EQ(frame.rest[0].data(), driver_->at(second).data() + (head - 66));
  EXPECT_EQ(frame.rest[1].data(), driver_->at(third).data());
  // What was copied stays as it was, and the rest is as it is when it is asked for.
  std::ranges::fill(driver_->at(first), std::uint8_t{0xff});
  std::ranges::fill(driver_->at(third), std::uint8_t{0xaa});
  const ByteView whole = frame.whole();
  EXPECT_TRUE(std::ranges::equal(whole.first(30'066), ByteView(sent).first(30'066)));
  EXPECT_EQ(whole.size(), sent.size());
  EXPECT_EQ(whole.back(), 0xaa);
  // It is the guest's again only with release().
  EXPECT_FALSE(driver_->take_used());
  EXPECT_TRUE(queue_.release());
  EXPECT_TRUE(driver_->take_used());
}

TEST_P(TransmitQueueTest, WhatHasToBeLookedAtIsCopied) {
  const Bytes data = tcp_frame(8000);
  Bytes padded = data;
  padded.push_back(0);
  const std::size_t least = TransmitQueue::kBorrowedMin - wire::VirtioNetHeader::kSize;
  const std::vector<std::pair<Bytes, wire::VirtioNetHeader>> all = {
      {data, {}},  // Whose checksum has to be checked.
      {padded, kVouched},
      {tcp_frame(8000, wire::kSyn), kVouched},
      {tcp_frame(least - 55), kVouched},
      {frame_of(8000), kVouched}};
  for (const auto& [frame, header] : all) offer(frame, header);
  driver_->show();
  EXPECT_TRUE(read());
  ASSERT_EQ(burst_.frames().size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_TRUE(burst_.frames()[i].rest.empty()) << i;
    EXPECT_EQ(frame(i), all[i].first) << i;
  }
  (void)queue_.release();
  burst_.clear();
  offer(tcp_frame(least - 54), kVouched);
  driver_->show();
  EXPECT_TRUE(read());
  EXPECT_FALSE(burst_.frames()[0].rest.empty());
}

TEST_P(TransmitQueueTest, ManySmallPiecesAreCopied) {
  Bytes all = header_bytes(kVouched);
  const Bytes sent = tcp_frame(20'000);
  std::ranges::copy(sent, std::back_inserter(all));
  std::vector<MockBuffer> pieces;
  for (std::size_t at = 0; at < all.size(); at += 500) {
    pieces.push_back(
        driver_->readable(ByteView(all).subspan(at, std::min<std::size_t>(500, all.size() - at))));
  }
  ASSERT_TRUE(driver_->offer(pieces));
  driver_->show();
  EXPECT_TRUE(read());
  EXPECT_TRUE(burst_.frames()[0].rest.empty());
  EXPECT_EQ(frame(0), sent);
}

TEST_P(TransmitQueueTest, ChainsThatAreNoFramesAreCountedAndGivenBack) {
  ASSERT_TRUE(driver_->offer({driver_->readable(Bytes(5))}));
  ASSERT_TRUE(driver_->offer({driver_->readable(Bytes(12))}));
  ASSERT_TRUE(driver_->offer({driver_->readable(Bytes(FrameBurst::kFrameMax + 1))}));
  ASSERT_TRUE(driver_->offer({driver_->writable(100)}));
  offer(frame_of(60));
  driver_->show();
  EXPECT_TRUE(read());
  (void)queue_.release();
  ASSERT_EQ(burst_.frames().size(), 1U);
  EXPECT_EQ(frame(0), frame_of(60));
  EXPECT_EQ(queue_.counters().too_short, 3U);
  EXPECT_EQ(queue_.counters().too_long, 1U);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(driver_->take_used());
}

TEST_P(TransmitQueueTest, ABurstHasABoundAndTheRestComesNext) {
  for (int i = 0; i < 120; ++i) offer(frame_of(60));
  driver_->show();
  EXPECT_TRUE(read());
  for (int i = 0; i < 8; ++i) offer(frame_of(61));
  driver_->show();
  // As many as there was room for: whether there are more is not known.
  EXPECT_FALSE(read());
  EXPECT_TRUE(burst_.full());
  EXPECT_EQ(burst_.frames().size(), FrameBurst::kFramesMax);
  (void)queue_.release();
  burst_.clear();
  EXPECT_TRUE(read());
  EXPECT_TRUE(burst_.frames().empty());
}

TEST_P(TransmitQueueTest, LargeFramesThatDoNotFitArePutBack) {
  const Bytes large(65'000);
  for (int i = 0; i < 30; ++i) offer(large);
  driver_->show();
  EXPECT_FALSE(read());
  const std::size_t first = burst_.frames().size();
  EXPECT_LT(first, 30U);
  (void)queue_.release();
  EXPECT_EQ(queue_.ring().outstanding(), 0U);
  burst_.clear();
  EXPECT_TRUE(read());
  EXPECT_EQ(first + burst_.frames().size(), 30U);
  (void)queue_.release();
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(driver_->take_used());
}

TEST_P(TransmitQueueTest, AStoppedQueueIsDrained) {
  queue_.ring().stop();
  EXPECT_TRUE(read());
  EXPECT_FALSE(queue_.release());
}

TEST_P(TransmitQueueTest, AMistakeOfTheDriverIsTold) {
  offer(frame_of(60));
  ASSERT_TRUE(driver_->offer({MockBuffer{0, 2, false}}));
  driver_->show();
  // The frame before it is there.
  EXPECT_EQ(queue_.read(burst_).value_or(true), true);
  EXPECT_EQ(burst_.frames().size(), 1U);
  EXPECT_EQ(queue_.read(burst_).error(), RingFault::kWildAddress);
}

INSTANTIATE_TEST_SUITE_P(Formats, TransmitQueueTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& one) {
                           return one.param ? std::string("Packed") : std::string("Split");
                         });

}  // namespace
}  // namespace sluice::virtio::test
