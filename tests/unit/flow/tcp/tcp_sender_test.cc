#include "flow/tcp/tcp_sender.h"

#include <gtest/gtest.h>

#include "unit/flow/tcp/segments.h"

namespace sluice::flow {
namespace {

using namespace std::chrono_literals;
using wire::SeqNum;

constexpr SeqNum kFirst{5000};
constexpr SeqNum kGuest{100};

class TcpSender : public testing::Test {
 protected:
  TcpSender() {
    tx.head = tx.acked = tx.sent = kFirst;
    tx.window_seq = kGuest;
    tx.window_ack = kFirst;
    tx.window = 10'000;
    guest.mss = 1000;
    guest.sack = true;
  }

  void send(std::size_t bytes, bool fin = false) {
    tx.note_data(bytes, fin);
    (void)tx.note_sent(now);
  }
  // An ACK of everything below `offset`.
  AckNews ack(std::uint32_t offset, const test::SegmentFields& more = {}) {
    test::SegmentFields segment = more;
    if (segment.sequence == SeqNum{}) segment.sequence = kGuest;
    if (more.window == 0xffff) segment.window = 10'000;
    segment.acknowledgment = kFirst + offset;
    return tx.on_ack(test::Segment(segment).view(), guest, host_lives, now);
  }
  AckNews sack(std::uint32_t offset, std::uint32_t left, std::uint32_t right) {
    wire::TcpOptions options;
    options.add_sack({kFirst + left, kFirst + right});
    return ack(offset, {.options = options});
  }
  // The hole as offset and size.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> hole(std::size_t frame = 1000) {
    const auto found = tx.next_hole(frame);
    if (!found) return std::nullopt;
    return std::pair{distance(kFirst, found->sequence), found->size};
  }

  Sender tx;
  GuestTcpOptions guest;
  bool host_lives = true;
  Instant now{1000s};
};

using Hole = std::pair<std::uint32_t, std::uint32_t>;

TEST_F(TcpSender, ProgressFreesTheHostsQueue) {
  send(3000);
  EXPECT_EQ(tx.take_acked(), 0u);
  EXPECT_EQ(ack(1000), AckNews::kProgress);
  EXPECT_EQ(tx.take_acked(), 1000u);
  EXPECT_EQ(tx.take_acked(), 0u);
  EXPECT_EQ(tx.in_flight(), 2000u);
  EXPECT_EQ(tx.offset_of(tx.sent), 2000u);
}

TEST_F(TcpSender, OurFinIsNoByteOfTheHosts) {
  send(1000, true);
  EXPECT_EQ(ack(1001), AckNews::kProgress);
  EXPECT_EQ(tx.take_acked(), 1000u);
  EXPECT_TRUE(tx.all_acked());
}

TEST_F(TcpSender, WhatWasNeverSentIsNotBelieved) {
  send(1000);
  EXPECT_EQ(ack(1001), AckNews::kNeverSent);
  EXPECT_EQ(tx.acked, kFirst);
}

// RFC 9293, 3.10.7.4.
TEST_F(TcpSender, OnlyTheNewestSegmentSpeaksForTheWindow) {
  send(2000);
  EXPECT_EQ(ack(1000, {.sequence = kGuest + 50, .window = 500}), AckNews::kProgress);
  EXPECT_EQ(tx.window, 500u);
  EXPECT_EQ(ack(1000, {.sequence = kGuest + 10, .window = 9'000}), AckNews::kNothing);
  EXPECT_EQ(tx.window, 500u);
}

TEST_F(TcpSender, NoSliverIsSentWhileAnAckIsOnItsWay) {
  EXPECT_EQ(tx.usable(1000), 10'000u);
  send(9'500);
  EXPECT_EQ(tx.usable(1000), 0u);
  EXPECT_EQ(tx.usable(400), 500u);
  EXPECT_EQ(ack(9'500, {.window = 300}), AckNews::kProgress);
  EXPECT_EQ(tx.usable(1000), 300u);  // Nothing is in flight: what there is.
}

TEST_F(TcpSender, AClosedWindowIsAskedOnce) {
  tx.window = 0;
  EXPECT_TRUE(tx.begin_probing(now));
  EXPECT_EQ(tx.resend_at, now + tx.rtt.timeout());
  EXPECT_FALSE(tx.begin_probing(now));
  EXPECT_EQ(ack(0, {.window = 5'000}), AckNews::kNothing);
  EXPECT_EQ(tx.resend_at, kNever);  // It has opened.
}

TEST_F(TcpSender, AFullGuestIsWaitedForWhileTheHostLives) {
  send(1000);
  now += 30s;
  (void)ack(0, {.window = 0});
  EXPECT_EQ(tx.progress_at, now);
  host_lives = false;
  now += 30s;
  (void)ack(0, {.window = 0});
  EXPECT_EQ(tx.progress_at, now - 30s);
}

TEST_F(TcpSender, ARoundTripIsMeasuredFromSendingToItsAck) {
  tx.note_data(1000, false);
  EXPECT_TRUE(tx.note_sent(now));
  tx.note_data(1000, false);
  EXPECT_FALSE(tx.note_sent(now));  // The timer is set already.
  now += 400ms;
  EXPECT_EQ(ack(1000), AckNews::kProgress);
  EXPECT_EQ(tx.rtt.timeout(), 400ms + 4 * 200ms);
  EXPECT_EQ(tx.resend_at, now + tx.rtt.timeout());
  EXPECT_EQ(ack(2000), AckNews::kProgress);
  EXPECT_EQ(tx.resend_at, kNever);
}

// RFC 5681, 3.2.
TEST_F(TcpSender, ThreeRepeatsShowAHole) {
  send(3000);
  EXPECT_EQ(ack(0), AckNews::kNothing);
  EXPECT_EQ(ack(0), AckNews::kNothing);
  EXPECT_EQ(ack(0), AckNews::kHole);
  EXPECT_FALSE(tx.timing);
  EXPECT_EQ(hole(), (Hole{0, 1000}));
}

// RFC 6675, 4.
TEST_F(TcpSender, AsMuchSackedAboveShowsAHoleAtOnce) {
  send(5000);
  EXPECT_EQ(sack(0, 1000, 4000), AckNews::kHole);
  EXPECT_EQ(hole(), (Hole{0, 1000}));
  EXPECT_EQ(hole(), std::nullopt);  // Above the highest SACK nothing is known to be lost.
}

TEST_F(TcpSender, EachHoleBetweenSacksIsSentOnce) {
  send(6000);
  (void)sack(0, 1000, 2000);
  EXPECT_EQ(sack(0, 4500, 5500), AckNews::kHole);
  EXPECT_EQ(hole(), (Hole{0, 1000}));
  EXPECT_EQ(hole(2000), (Hole{2000, 2000}));
  EXPECT_EQ(hole(2000), (Hole{4000, 500}));
  EXPECT_EQ(hole(2000), std::nullopt);
}

// RFC 2018, 5.
TEST_F(TcpSender, SacksOfWhatIsNotInFlightAreIgnored) {
  send(1000);
  (void)sack(0, 500, 2000);
  EXPECT_EQ(tx.loss == nullptr || tx.loss->sacked.empty(), true);
}

// RFC 6582.
TEST_F(TcpSender, APartialAckShowsTheNextHole) {
  send(3000);
  for (int i = 0; i < 3; ++i) (void)ack(0);
  (void)hole();
  EXPECT_EQ(ack(1000), AckNews::kHole);
  EXPECT_EQ(hole(), (Hole{1000, 1000}));
  EXPECT_EQ(ack(3000), AckNews::kProgress);
  EXPECT_FALSE(tx.recovering);
}

TEST_F(TcpSender, AfterATimeoutNoSackIsTrusted) {
  send(3000);
  (void)sack(0, 1000, 2000);
  tx.time_out();
  EXPECT_EQ(hole(5000), (Hole{0, 3000}));
}

TEST_F(TcpSender, ALostFinIsAHoleWithoutBytes) {
  send(1000, true);
  (void)ack(1000);
  tx.time_out();
  EXPECT_EQ(hole(), (Hole{1000, 0}));
  EXPECT_EQ(hole(), std::nullopt);
}

}  // namespace
}  // namespace sluice::flow
