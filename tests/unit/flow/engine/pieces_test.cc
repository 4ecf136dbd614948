// Frames of which only the head is here: what is plainly next goes on as it lies, and what is not
// is made whole before anybody looks at it.
#include <gtest/gtest.h>

#include <deque>

#include "unit/flow/engine/cut_frame.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

constexpr wire::VirtioNetHeader kVouched{.flags = wire::VirtioNetHeader::kNeedsCsum};
constexpr std::size_t kHeaders = 54;

class PiecesTest : public TcpFixture {
 protected:
  CutFrame& cut(const Bytes& bytes, std::size_t head = 100, std::size_t piece = 1000) {
    return cut_.emplace_back(bytes, head, piece);
  }
  void pieces(CutFrame& frame, const wire::VirtioNetHeader& offload = kVouched) {
    engine().on_frame(frame.as_it_came(offload), {now, sink});
  }
  void feed_cut(const GuestSegment& segment, const wire::VirtioNetHeader& offload = kVouched) {
    pieces(cut(tcp_frame(network(), segment)), offload);
    end_burst();
  }
  // How many ranges the only write has that lie in these blocks.
  std::size_t borrowed(CutFrame& frame) {
    std::size_t count = 0;
    for (const Action& action : sink.actions()) {
      const auto* write = std::get_if<WriteTcp>(&action);
      if (write == nullptr) continue;
      for (std::uint32_t at = write->first_range; at != kNoRange; at = sink.range(at).next) {
        for (const Bytes& block : frame.blocks()) {
          count += sink.range(at).bytes.data() == block.data() ? 1 : 0;
        }
      }
    }
    return count;
  }

 private:
  std::deque<CutFrame> cut_;
};

TEST_F(PiecesTest, WhatIsNextGoesOnAsItLies) {
  const Connection c = establish();
  CutFrame& frame = cut(tcp_frame(network(), data(c, 0, 5000)));
  CutFrame& second = cut(tcp_frame(network(), data(c, 5000, 3000)), kHeaders + 1, 3000);
  pieces(frame);
  pieces(second);
  engine().end_burst(BurstEnd::kDrained, {now, sink});
  EXPECT_EQ(borrowed(frame), frame.blocks().size());
  EXPECT_EQ(borrowed(second), 1U);
  collect();
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].action.until, 8000U);
  EXPECT_EQ(writes[0].bytes, stream(0, 8000));
  host_takes(c, 8000);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next + 8000);
}

TEST_F(PiecesTest, AFinComesWithTheLast) {
  const Connection c = establish();
  GuestSegment segment = data(c, 0, 5000);
  segment.flags = wire::kFin | wire::kAck;
  feed_cut(segment);
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].bytes, stream(0, 5000));
  EXPECT_TRUE(all<ShutdownTcp>().empty());
  host_takes(c, 5000);
  EXPECT_EQ(all<ShutdownTcp>().size(), 1U);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next + 5001);
}

// A guest that rewrites its bytes gets what it wrote to the host, and nothing else changes.
TEST_F(PiecesTest, BytesThatChangeUnderUsChangeNothingElse) {
  const Connection c = establish();
  CutFrame& frame = cut(tcp_frame(network(), data(c, 0, 5000)));
  pieces(frame);
  for (Bytes& block : frame.blocks()) std::ranges::fill(block, std::uint8_t{0xff});
  end_burst();
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].bytes.size(), 5000U);
  EXPECT_EQ(Bytes(writes[0].bytes.begin(), writes[0].bytes.begin() + 46), stream(0, 46));
  EXPECT_EQ(writes[0].bytes.back(), 0xff);
}

TEST_F(PiecesTest, WhatIsNotVouchedForIsLookedAt) {
  const Connection c = establish();
  CutFrame& good = cut(tcp_frame(network(), data(c, 0, 5000)));
  pieces(good, {});
  CutFrame& bad = cut(tcp_frame(network(), data(c, 5000, 5000)));
  bad.blocks().back().back() ^= 1;
  pieces(bad, {});
  EXPECT_EQ(drops(DropReason::kBadChecksum), 1U);
  end_burst();
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].bytes, stream(0, 5000));
}

TEST_F(PiecesTest, BehindAGapTheyAreStashedWhole) {
  const Connection c = establish();
  feed_cut(data(c, 4000, 4000));
  const auto stash = all<StashTcp>();
  ASSERT_EQ(stash.size(), 1U);
  EXPECT_EQ(stash[0].offset, 4000U);
  EXPECT_EQ(stash[0].bytes.size(), 4000U);
  EXPECT_EQ(frames.size(), 1U) << "one duplicate ACK";
  tcp().on_stashed(c.id, 4000, 4000);
  clear();
  feed_cut(data(c, 0, 4000));
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].action.until, 8000U);
}

TEST_F(PiecesTest, RepeatsAndWhatIsBeyondTheWindowAreCut) {
  const Connection c = establish();
  feed_cut(data(c, 0, 4000));
  host_takes(c, 4000);
  clear();
  feed_cut(data(c, 2000, 4000));
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].action.offset, 4000U);
  EXPECT_EQ(writes[0].bytes, stream(4000, 2000));
}

TEST_F(PiecesTest, OfNoConnectionTheyAreAnsweredOnce) {
  feed_cut({.guest = kGuest,
            .remote = kServer,
            .acknowledgment = wire::SeqNum{5},
            .payload = stream(0, 9000)});
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(drops(DropReason::kTcpUnknownFlow), 1U);
}

TEST_F(PiecesTest, ASenderThatCannotBeIsDropped) {
  const Connection c = establish();
  Bytes bytes = tcp_frame(network(), data(c, 0, 5000));
  bytes[6] |= 1;
  pieces(cut(bytes));
  std::ranges::copy(network().gateway_mac.octets, bytes.begin() + 6);
  pieces(cut(bytes));
  end_burst();
  EXPECT_EQ(drops(DropReason::kSpoofedSource), 2U);
  EXPECT_TRUE(writes.empty());
}

TEST_F(PiecesTest, TheLastHopEndsHere) {
  const Connection c = establish();
  Bytes bytes = tcp_frame(network(), data(c, 0, 5000));
  wire::Ipv4Repr{.source = c.guest.address,
                 .destination = c.remote.address,
                 .protocol = wire::IpProtocol::kTcp,
                 .ttl = 1,
                 .payload_length = static_cast<std::uint16_t>(bytes.size() - 34)}
      .emit(MutableBytes(bytes).subspan(14).first<20>());
  pieces(cut(bytes));
  end_burst();
  EXPECT_EQ(drops(DropReason::kHopLimit), 1U);
  EXPECT_TRUE(take_frame().is(wire::IpProtocol::kIcmp));
}

// A flow that stands still keeps its packets, and they are whole.
TEST_F(PiecesTest, DuringAHandOverTheyWaitWhole) {
  tcp().set_hand_over(HandOverWhen::kAlways);
  const Connection c = establish();
  ASSERT_EQ(flow(c)->hand_over, HandOverStage::kAsked);
  const Bytes bytes = tcp_frame(network(), data(c, 0, 5000));
  pieces(cut(bytes));
  engine().end_burst(BurstEnd::kDrained, {now, sink});
  ASSERT_EQ(sink.actions().size(), 1U);
  const auto* divert = std::get_if<DivertTcp>(&sink.actions().front());
  ASSERT_NE(divert, nullptr);
  EXPECT_TRUE(std::ranges::equal(divert->packet, ByteView(bytes).subspan(14)));
}

TEST_F(PiecesTest, OurDnsIsAskedInOnePiece) {
  const Connection c = establish({.remote = {network().dns_v4, wire::Port{53}}});
  CutFrame& frame = cut(tcp_frame(network(), data(c, 0, 900)));
  pieces(frame);
  engine().end_burst(BurstEnd::kDrained, {now, sink});
  EXPECT_EQ(borrowed(frame), 0U);
  collect();
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].bytes, stream(0, 900));
}

}  // namespace
}  // namespace sluice::flow::test
