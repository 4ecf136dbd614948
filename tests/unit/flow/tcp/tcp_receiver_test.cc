#include "flow/tcp/tcp_receiver.h"

#include <gtest/gtest.h>

#include <deque>

#include "unit/flow/engine/guest_frames.h"

namespace sluice::flow {
namespace {

using test::Bytes;
using test::stream;
using wire::SeqNum;

constexpr SeqNum kStart{1000};

class TcpReceiver : public testing::Test {
 protected:
  TcpReceiver() {
    rx.received = kStart;
    rx.acknowledged = kStart;
    rx.window_edge = kStart + 10'000;
    rx.host_room = 10'000;
    guest.mss = 1000;
  }

  // Takes a segment as TcpFlows does; stashing always finds room.
  void take(std::uint32_t offset, std::size_t length, bool fin = false) {
    bytes_.push_back(stream(offset, length));
    const auto piece = rx.trim(kStart + offset, bytes_.back(), fin, drops);
    if (!piece) return;
    if (piece->ahead > 0) {
      const wire::SackBlock block = rx.note_early(*piece);
      if (!piece->bytes.empty()) (void)rx.stashed(block);
      return;
    }
    if (!piece->bytes.empty()) {
      if (!rx.chain(piece->bytes, sink)) ++stashed_behind;
      rx.advance(static_cast<std::uint32_t>(piece->bytes.size()));
    }
    rx.note_fin(piece->fin);
  }
  [[nodiscard]] Bytes chained() const {
    Bytes all;
    for (std::uint32_t at = rx.range_first; at != kNoRange; at = sink.range(at).next) {
      const ByteView one = sink.range(at).bytes;
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }

  Receiver rx;
  GuestTcpOptions guest;
  DropCounters drops;
  ActionSink sink;
  int stashed_behind = 0;

 private:
  std::deque<Bytes> bytes_;
};

TEST_F(TcpReceiver, WhatIsInOrderBecomesOneChain) {
  take(0, 100);
  take(100, 50);
  EXPECT_EQ(rx.received, kStart + 150);
  EXPECT_EQ(rx.chained(), 150u);
  EXPECT_EQ(chained(), stream(0, 150));
  const WriteTcp write = rx.begin_write({});
  EXPECT_EQ(write.offset, 0u);
  EXPECT_EQ(write.until, 150u);
  EXPECT_FALSE(rx.has_chain());
  EXPECT_EQ(rx.write_size, 150u);
}

TEST_F(TcpReceiver, ARepeatIsTrimmedToWhatIsNew) {
  take(0, 100);
  take(50, 100);
  EXPECT_EQ(rx.received, kStart + 150);
  EXPECT_EQ(chained(), stream(0, 150));
  take(0, 150);
  EXPECT_EQ(drops[DropReason::kTcpOutsideWindow], 1u);
}

TEST_F(TcpReceiver, NothingCountsBeyondTheRightEdge) {
  take(9'990, 20, true);
  ASSERT_TRUE(rx.has_gap());
  EXPECT_EQ(rx.gaps->stashed.ranges()[0].right, rx.window_edge);
  EXPECT_FALSE(rx.gaps->early_fin);  // Its FIN was cut off, too.
  take(10'000, 1);
  EXPECT_EQ(drops[DropReason::kTcpOutsideWindow], 1u);
}

TEST_F(TcpReceiver, AFilledGapBringsWhatWaitedBehindIt) {
  take(100, 100, true);
  EXPECT_EQ(rx.received, kStart);
  EXPECT_TRUE(rx.has_gap());
  take(0, 100);
  EXPECT_EQ(rx.received, kStart + 201);
  EXPECT_TRUE(rx.guest_finished);
  EXPECT_EQ(rx.stream_offset, 200u);
  EXPECT_EQ(rx.chained(), 200u);
}

// The order of the stream: first the chain, then what was stashed.
TEST_F(TcpReceiver, BehindStashedBytesNothingIsChained) {
  take(100, 100);
  take(0, 100);
  take(200, 50);
  EXPECT_EQ(stashed_behind, 1);
  EXPECT_EQ(chained(), stream(0, 100));
  EXPECT_EQ(rx.chained(), 250u);
}

TEST_F(TcpReceiver, TheNewestStashedBlockIsReportedFirst) {
  take(100, 10);
  take(300, 10);
  take(200, 10);
  wire::TcpOptions options;
  rx.report_stashed(options);
  ASSERT_EQ(options.sacks().size(), 3u);
  EXPECT_EQ(options.sacks()[0].left, kStart + 200);
  EXPECT_EQ(options.sacks()[1].left, kStart + 100);
}

TEST_F(TcpReceiver, NothingFollowsAFin) {
  take(0, 10, true);
  take(0, 10, true);  // A repeat of it is nothing new.
  EXPECT_EQ(drops[DropReason::kTcpAfterClose], 0u);
  take(11, 10);
  EXPECT_EQ(drops[DropReason::kTcpAfterClose], 1u);
}

TEST_F(TcpReceiver, BytesThatFoundNoRoomAreRolledBack) {
  take(0, 100, true);
  take(300, 10);
  (void)rx.begin_write({});
  EXPECT_FALSE(rx.wrote(60, 5, 0));
  EXPECT_EQ(rx.received, kStart + 60);
  EXPECT_EQ(rx.stream_offset, 60u);
  EXPECT_FALSE(rx.guest_finished);
  EXPECT_FALSE(rx.take_fin());
  EXPECT_EQ(rx.buffered, 5u);
}

TEST_F(TcpReceiver, RollingBackForgetsTheStash) {
  take(0, 100);
  take(300, 10);
  (void)rx.begin_write({});
  EXPECT_FALSE(rx.wrote(99, 0, 0));
  EXPECT_TRUE(rx.gaps->stashed.empty());
}

TEST_F(TcpReceiver, TheFinIsPassedOnOnceAndBehindAllBytes) {
  take(0, 100, true);
  (void)rx.begin_write({});
  EXPECT_TRUE(rx.wrote(100, 40, 0));
  EXPECT_FALSE(rx.take_fin());
  rx.buffered = 0;
  EXPECT_TRUE(rx.take_fin());
  EXPECT_FALSE(rx.take_fin());
}

TEST_F(TcpReceiver, BytesWithoutAnAnswerAreNotAcknowledged) {
  take(0, 100);
  EXPECT_EQ(rx.advertise(guest, 9'900), 10'000);
  EXPECT_EQ(rx.acknowledged, kStart);
  (void)rx.begin_write({});
  EXPECT_EQ(rx.advertise(guest, 9'900), 10'000);
  EXPECT_EQ(rx.acknowledged, kStart);
  EXPECT_TRUE(rx.wrote(100, 0, 9'900));
  EXPECT_EQ(rx.advertise(guest, 9'900), 9'900);
  EXPECT_EQ(rx.acknowledged, kStart + 100);
}

// RFC 9293, 3.8.6.
TEST_F(TcpReceiver, TheRightEdgeNeverMovesLeft) {
  guest.scaled = true;
  rx.window_edge = kStart + 1001;
  EXPECT_EQ(rx.advertise(guest, 1001), 8);  // Rounded up to a multiple of 128.
  EXPECT_EQ(rx.window_edge, kStart + 1024);
  EXPECT_EQ(rx.advertise(guest, rx.open()), 8);
  EXPECT_EQ(rx.advertise(guest, 4096), 32);
}

TEST_F(TcpReceiver, NothingNewIsOfferedWhileBytesWait) {
  rx.host_room = 50'000;
  EXPECT_EQ(rx.offered(guest, WindowTerms::kShared, 5'000), 55'000u);
  EXPECT_EQ(rx.offered(guest, WindowTerms::kRoomOnly, 5'000), 50'000u);
  EXPECT_EQ(rx.offered(guest, WindowTerms::kNothingNew, 5'000), 10'000u);
  rx.buffered = 1;
  EXPECT_EQ(rx.offered(guest, WindowTerms::kShared, 5'000), 10'000u);
}

TEST_F(TcpReceiver, OneSegmentFitsAlways) {
  rx.host_room = 0;
  rx.window_edge = rx.received;
  EXPECT_EQ(rx.offered(guest, WindowTerms::kShared, 0), 1000u + 127u);
  EXPECT_EQ(rx.offered(guest, WindowTerms::kRoomOnly, 0), 0u);
}

// RFC 9293, 3.8.6.2.2.
TEST_F(TcpReceiver, AnUpdateOpensTwoSegmentsAndDoubles) {
  rx.window_edge = kStart + 3000;
  EXPECT_FALSE(rx.update_is_worth_it(1000, 4'999));
  EXPECT_FALSE(rx.update_is_worth_it(1000, 5'999));
  EXPECT_TRUE(rx.update_is_worth_it(1000, 6'000));
  rx.window_edge = kStart + 999;  // Too small for a segment: whatever makes it fit.
  EXPECT_TRUE(rx.update_is_worth_it(1000, 1'000));
  EXPECT_FALSE(rx.update_is_worth_it(1000, 999));
  rx.guest_finished = true;
  EXPECT_FALSE(rx.update_is_worth_it(1000, 60'000));
}

TEST_F(TcpReceiver, AnAckIsHeldWhileTheWindowIsWideAndNothingIsLost) {
  EXPECT_FALSE(rx.may_hold_ack());  // Nothing to acknowledge.
  take(0, 4'000);
  EXPECT_TRUE(rx.may_hold_ack());
  take(4'000, 1'000);
  EXPECT_FALSE(rx.may_hold_ack());  // As much as the window still has open.
  rx.window_edge = kStart + 1'000'000;
  EXPECT_TRUE(rx.may_hold_ack());
  take(9'000, 10);
  EXPECT_FALSE(rx.may_hold_ack());
}

TEST_F(TcpReceiver, OnlyWithAnOpenWindowIsAnOldNumberAKeepAlive) {
  EXPECT_TRUE(rx.is_keep_alive(kStart - 1, 1000));
  EXPECT_FALSE(rx.is_keep_alive(kStart - 2, 1000));
  rx.window_edge = kStart + 999;
  EXPECT_FALSE(rx.is_keep_alive(kStart - 1, 1000));
  rx.guest_finished = true;
  EXPECT_TRUE(rx.is_keep_alive(kStart - 1, 1000));
}

TEST_F(TcpReceiver, TheSpillTakesWhatTheHostMayNot) {
  EXPECT_EQ(rx.beyond_host(12'000), 2'000u);
  EXPECT_EQ(rx.beyond_host(9'000), 0u);
  rx.buffered = 1;  // Then its room is used up.
  EXPECT_EQ(rx.beyond_host(9'000), 9'000u);
}

}  // namespace
}  // namespace sluice::flow
