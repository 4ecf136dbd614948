// TCP at its edges: resets from off the path, windows that close, loss, wrap-around, small
// segments.
#include <gtest/gtest.h>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class TcpEdge : public TcpFixture {
 protected:
  static GuestSegment with_sack(const Connection& c, std::vector<wire::SackBlock> blocks) {
    GuestSegment segment = ack(c);
    for (const wire::SackBlock& block : blocks) segment.options.add_sack(block);
    return segment;
  }
  // The engine's data [0, length) is on its way; the guest has acknowledged nothing of it.
  wire::SeqNum in_flight(Connection& c, std::size_t length) {
    const wire::SeqNum first = c.host_next;
    host_sends(c, stream(0, length));
    c.host_next = first;
    clear();
    return first;
  }
};

// RFC 5961, 3.2: only the exact number resets.
TEST_F(TcpEdge, ResetNearTheWindowIsChallenged) {
  const Connection c = establish();
  GuestSegment guess = rst(c);
  guess.sequence += 10;
  feed(guess);
  EXPECT_EQ(engine().flow_count(), 1u);
  EXPECT_EQ(take_frame().tcp().flags(), wire::kAck);
  guess.sequence = c.next - 10;
  feed(guess);
  guess.sequence = c.next + 10'000'000;
  feed(guess);
  EXPECT_TRUE(frames.empty());  // Outside the window: not even an answer.
  EXPECT_EQ(drops(DropReason::kTcpChallenged), 3u);
  feed(rst(c));
  EXPECT_TRUE(take<CloseTcp>().reset);
  EXPECT_EQ(engine().flow_count(), 0u);
}

// RFC 5961, 4.2.
TEST_F(TcpEdge, SynOfAnOpenConnectionIsChallenged) {
  const Connection c = establish();
  for (const std::int32_t offset : {-1, 0, 1000}) {
    GuestSegment again = ack(c);
    again.flags = wire::kSyn;
    again.sequence = c.next + static_cast<std::uint32_t>(offset);
    feed(again);
    EXPECT_EQ(take_frame().tcp().flags(), wire::kAck);
  }
  EXPECT_EQ(engine().flow_count(), 1u);
  EXPECT_TRUE(all<CloseTcp>().empty());
}

TEST_F(TcpEdge, AckOfWhatWasNeverSentIsAnswered) {
  Connection c = establish();
  c.host_next += 100;
  feed(ack(c));
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
  EXPECT_EQ(drops(DropReason::kTcpBadAck), 1u);
}

TEST_F(TcpEdge, ClosedWindowIsProbed) {
  Connection c = establish({.window = 0});
  tcp().on_readable(c.id, false, {now, sink});
  collect();
  EXPECT_TRUE(all<PeekTcp>().empty());
  pass(1100ms);
  const Received probe = take_frame();
  EXPECT_EQ(probe.tcp().sequence(), c.host_next - 1);  // Before the window: it must be answered.
  EXPECT_EQ(probe.tcp().payload().size(), 0u);
  pass(10s);
  EXPECT_EQ(frames.size(), 2u);  // After 2 s and 4 s more.
  // As long as the guest answers, it may stay full.
  for (int i = 0; i < 20; ++i) {
    feed(ack(c));
    pass(60s);
  }
  EXPECT_EQ(engine().flow_count(), 1u);
  c.window = 500;
  feed(ack(c));
  EXPECT_EQ(take<PeekTcp>().max, 500u << 7);
}

TEST_F(TcpEdge, SynAckIsSentAgainAndThenGivenUp) {
  (void)connect();
  clear();
  pass(1s);
  EXPECT_EQ(take_frame().tcp().flags(), wire::kSyn | wire::kAck);
  pass(2s);
  EXPECT_EQ(take_frame().tcp().flags(), wire::kSyn | wire::kAck);
  pass(2min);
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_TRUE(all<CloseTcp>().at(0).reset);
}

TEST_F(TcpEdge, SackRepairsOnlyTheHoles) {
  Connection c = establish();
  const wire::SeqNum first = in_flight(c, 10 * 1460);
  const wire::SackBlock high{first + 2 * 1460, first + 5 * 1460};
  const wire::SackBlock top{first + 6 * 1460, first + 10 * 1460};
  feed(with_sack(c, {high, top}));
  feed(with_sack(c, {high, top}));
  feed(with_sack(c, {high, top}));
  feed(with_sack(c, {high, top}));
  std::vector<std::pair<std::uint32_t, std::uint32_t>> sent;
  for (const PeekTcp& peek : all<PeekTcp>()) {
    sent.emplace_back(distance(first, peek.sequence), peek.max);
  }
  const std::vector<std::pair<std::uint32_t, std::uint32_t>> holes{
      {0, 1460}, {1460, 1460}, {5 * 1460, 1460}};
  EXPECT_EQ(sent, holes);  // Each once, and nothing above the highest block.
}

TEST_F(TcpEdge, ThreeDuplicatesRepairWithoutSack) {
  Connection c = establish({.options = {.mss = 1460}});
  const wire::SeqNum first = in_flight(c, 5 * 1460);
  feed(ack(c));
  feed(ack(c));
  EXPECT_TRUE(all<PeekTcp>().empty());
  feed(ack(c));
  const auto peek = take<PeekTcp>();
  EXPECT_EQ(peek.sequence, first);
  EXPECT_EQ(peek.max, 1460u);
}

TEST_F(TcpEdge, WindowUpdateIsNoDuplicate) {
  Connection c = establish({.options = {.mss = 1460}});
  (void)in_flight(c, 1460);
  for (std::uint16_t i = 0; i < 5; ++i) {
    c.window = static_cast<std::uint16_t>(60'000 - i);
    feed(ack(c));
  }
  EXPECT_TRUE(all<PeekTcp>().empty());
}

// A repeat of old data that acknowledges more is newer than what it repeats.
TEST_F(TcpEdge, NewestAckSpeaksForTheWindow) {
  Connection c = establish({.window = 3000, .options = {.mss = 1460}});
  send(c, 1000);
  const wire::SeqNum first = in_flight(c, 3000);
  c.host_next = first + 3000;
  GuestSegment repeat = data(c, 0, 1000);
  repeat.window = 0;
  feed(repeat);
  tcp().on_readable(c.id, false, {now, sink});
  collect();
  EXPECT_TRUE(all<PeekTcp>().empty());
}

TEST_F(TcpEdge, ResetWithinABurstEndsIt) {
  const Connection c = establish();
  frame(tcp_frame(network(), data(c, 0, 100)));
  GuestSegment end = rst(c);
  end.sequence = c.next + 100;
  frame(tcp_frame(network(), end));
  frame(tcp_frame(network(), data(c, 100, 100)));  // Of no flow any more.
  end_burst();
  EXPECT_EQ(all<CloseTcp>().size(), 1u);
  EXPECT_EQ(take<WriteTcp>().until, 100u);  // What stands before the RST.
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(TcpEdge, GuestsNumbersWrapAround) {
  Connection c = establish({.guest_isn = wire::SeqNum{0xffff'fff0}});
  send(c, 10);
  send(c, 100);
  EXPECT_EQ(frames.back().tcp().acknowledgment(), wire::SeqNum{0xffff'fff1} + 110);
  feed(data(c, 160, 50));  // A gap beyond the wrap.
  feed(data(c, 110, 50));
  ASSERT_EQ(all<StashTcp>().size(), 1u);
  EXPECT_EQ(all<StashTcp>()[0].offset, 160u);
  EXPECT_EQ(writes.back().action.until, 210u);
}

// Our initial number follows a clock of 4 µs, so a start can be chosen that wraps.
TEST_F(TcpEdge, OurNumbersWrapAround) {
  Connection probe = connect();
  const std::uint32_t isn = probe.host_next.value - 1;
  now += std::chrono::microseconds(4) * std::int64_t{0xffff'fc00 - isn};
  restart({});
  Connection c = establish();
  ASSERT_EQ(c.host_next, wire::SeqNum{0xffff'fc01});
  std::uint32_t discarded = 0;
  for (int i = 0; i < 4; ++i) {
    const wire::SeqNum before = c.host_next;
    host_sends(c, stream(0, 500));
    EXPECT_EQ(frames.back().tcp().sequence(), before);
    clear();
    feed(ack(c));
    discarded += take<DiscardTcp>().bytes;
  }
  EXPECT_EQ(discarded, 2000u);
  EXPECT_LT(c.host_next.value, 2000u);
}

TEST_F(TcpEdge, MissingMssMeans536AndTinyOnesAreRaised) {
  Connection c = establish({.options = {}});
  host_sends(c, stream(0, 1100));
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].tcp().payload().size(), 536u);
  Connection tiny =
      establish({.guest = endpoint("10.0.2.15:40001"), .options = {.mss = std::uint16_t{1}}});
  host_sends(tiny, stream(0, 100));
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].tcp().payload().size(), 88u);
}

TEST_F(TcpEdge, PortIsUsedAgainWhileItLingers) {
  Connection c = establish();
  host_ends(c);
  feed(fin(c));
  c.next += 1;
  feed(ack(c));
  EXPECT_EQ(engine().flow_count(), 1u);  // Lingering.
  clear();
  GuestSegment repeat = fin(c);
  repeat.sequence = c.next - 1;
  feed(repeat);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
  Connection again = establish({.guest_isn = c.next + 1000});
  EXPECT_NE(again.id, c.id);
  send(again, 10);
  EXPECT_EQ(writes.back().bytes, stream(0, 10));
}

TEST_F(TcpEdge, BytesWithoutRoomAreNotAcknowledged) {
  Connection c = establish();
  feed(data(c, 0, 1000));
  tcp().on_written(c.id, {400, 0, 0}, {now, sink});
  collect();
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next + 400);
  EXPECT_EQ(drops(DropReason::kTcpBufferFull), 1u);
  clear();
  feed(data(c, 0, 1000));  // The guest sends it again.
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].action.offset, 400u);
  EXPECT_EQ(writes[0].bytes, stream(400, 600));
}

// Whatever the host does, what was promised stays promised.
TEST_F(TcpEdge, RightEdgeNeverMovesLeft) {
  Connection c = establish();
  send(c, 1000);
  auto edge = [&] {
    const auto segment = frames.back().tcp();
    return segment.acknowledgment() + (std::uint32_t{segment.window()} << TcpFlows::kWindowScale);
  };
  wire::SeqNum last = edge();
  for (const std::uint32_t room : {50'001U, 777U, 0U, 30'011U, 0U}) {
    feed(data(c, c.sent, 333));
    c.next += 333;
    c.sent += 333;
    tcp().on_written(c.id, {333, room == 0 ? 300'000U : 0U, room}, {now, sink});
    collect();
    EXPECT_GE(edge(), last);
    last = edge();
  }
}

TEST_F(TcpEdge, HostResetIsPassedOn) {
  Connection c = establish();
  tcp().on_host_error(c.id, HostError::kReset, {now, sink});
  collect();
  tcp().on_peeked(c.id, {take<PeekTcp>().sequence, PeekStatus::kEndOfStream, {}, false},
                  {now, sink});
  collect();
  const Received reply = take_frame();
  EXPECT_TRUE(reply.tcp().flags().rst());
  EXPECT_EQ(reply.tcp().sequence(), c.host_next);
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(TcpEdge, UnreachableHostIsToldByIcmp) {
  feed(syn({}));
  const TcpId id = take<ConnectTcp>().flow;
  tcp().on_connect_failed(id, HostError::kHostUnreachable, {now, sink});
  collect();
  const Received reply = take_frame();
  EXPECT_EQ(reply.icmp().type(), wire::IcmpType::kDestinationUnreachable);
  const ByteView quoted = reply.icmp().payload();
  EXPECT_EQ(be16<20>(quoted.first<22>()), kGuest.port.value);
}

TEST_F(TcpEdge, IdleFlowEnds) {
  const Connection c = establish();
  pass(123min);
  EXPECT_EQ(engine().flow_count(), 1u);
  feed(ack(c));
  pass(123min);
  EXPECT_EQ(engine().flow_count(), 1u);
  clear();
  pass(2min);
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_TRUE(take_frame().tcp().flags().rst());
}

// RFC 2018, 4: the block of the newest segment comes first.
TEST_F(TcpEdge, SackNamesTheNewestBlockFirst) {
  const Connection c = establish();
  for (const std::uint64_t offset : {2000U, 6000U, 4000U}) {
    frames.clear();
    feed(data(c, offset, 100));
    const wire::TcpOptions told = wire::parse_tcp_options(frames.back().tcp().options());
    ASSERT_GE(told.sack_count, 1U);
    EXPECT_EQ(told.sack_blocks[0].left, c.next + static_cast<std::uint32_t>(offset));
  }
}

// Reordering alone must not cost the guest its retransmission timer.
TEST_F(TcpEdge, AFinAheadOfAGapCountsOnceTheGapIsClosed) {
  Connection c = establish();
  GuestSegment last = data(c, 100, 50);
  last.flags = wire::kFin | wire::kAck;
  feed(last);
  feed(data(c, 0, 100));
  host_takes(c, 150);
  EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next + 151);
  EXPECT_EQ(all<ShutdownTcp>().size(), 1U);
}

TEST_F(TcpEdge, AWindowThatOpensIsToldWithoutBeingAsked) {
  EngineOptions options;
  options.network.mtu = 65520;
  restart(options);
  Connection c = establish({.options = {.mss = 65480, .window_scale = 7, .sack_permitted = true}});
  tcp().set_spill_free(0);
  // The host takes nothing, and the spill holds what the window let in.
  while (distance(c.next, std::get<Relaying>(flow(c)->state).rx.window_edge) >= 60'000) {
    feed(data(c, c.sent, 60'000));
    c.next += 60'000;
    c.sent += 60'000;
    tcp().on_written(c.id, {60'000, static_cast<std::uint32_t>(c.sent), 0}, {now, sink});
    collect();
  }
  clear();
  tcp().on_room(c.id, 0, 0, {now, sink});
  collect();
  EXPECT_EQ(frames.size(), 1U);
}

}  // namespace
}  // namespace sluice::flow::test
