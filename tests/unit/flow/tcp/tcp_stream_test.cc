// Bytes of a connection in both directions, in whatever order they come, and its orderly ends.
#include <gtest/gtest.h>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class TcpStream : public TcpFixture {
 protected:
  // What the host gets, in order: stashed bytes lie where their offset says.
  struct HostStream {
    Bytes bytes;
    void put(std::uint64_t offset, ByteView piece) {
      if (bytes.size() < offset + piece.size()) bytes.resize(offset + piece.size());
      std::ranges::copy(piece, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    }
  };
  HostStream host_;
  std::uint64_t delivered_ = 0;

  // Feeds one burst and gives the host what it yields.
  void burst(const Connection& c, const std::vector<GuestSegment>& segments) {
    for (const GuestSegment& segment : segments) frame(tcp_frame(network(), segment));
    engine().end_burst(BurstEnd::kDrained, {now, sink});
    for (const Action& action : sink.actions()) {
      if (const auto* stash = std::get_if<StashTcp>(&action))
        host_.put(stash->offset, stash->bytes);
      if (const auto* write = std::get_if<WriteTcp>(&action)) {
        std::uint64_t offset = write->offset;
        for (std::uint32_t at = write->first_range; at != kNoRange; at = sink.range(at).next) {
          host_.put(offset, sink.range(at).bytes);
          offset += sink.range(at).bytes.size();
        }
        delivered_ = write->until;
      }
    }
    collect();
    for (const WriteTcp& write : all<WriteTcp>()) {
      tcp().on_written(c.id, {write.until - write.offset, 0, 64 * 1024}, {now, sink});
    }
    actions.clear();
    collect();
  }
  void expect_delivered(std::size_t length) {
    EXPECT_EQ(delivered_, length);
    ASSERT_GE(host_.bytes.size(), length);
    EXPECT_EQ(Bytes(host_.bytes.begin(), host_.bytes.begin() + static_cast<std::ptrdiff_t>(length)),
              stream(0, length));
  }
};

// Whoever makes room for them does so before there are any.
TEST_F(TcpStream, FramesAreAsItWasSaidBefore) {
  for (const bool tso : {false, true}) {
    for (const auto& [guest, remote] :
         {std::pair{kGuest, kServer},
          std::pair{endpoint("[fd00::15]:40000"), endpoint("[2600::7]:80")}}) {
      restart({.link = {.checksum = true, .tso = tso}});
      Connection c = establish({.guest = guest, .remote = remote});
      const auto to_come = tcp().frames_to_come(c.id);
      ASSERT_TRUE(to_come);
      EXPECT_EQ(to_come->flow, (wire::FlowTuple{wire::IpProtocol::kTcp, remote, guest}));
      const std::size_t bytes = std::min<std::size_t>(3 * to_come->payload / 2, 65'535);
      host_sends(c, stream(0, bytes));
      ASSERT_EQ(frames.size(), 2U);
      EXPECT_EQ(frames.front().bytes.size(), to_come->headers + std::min(bytes, to_come->payload));
    }
  }
  EXPECT_FALSE(tcp().frames_to_come(TcpId{}));
  restart({});
  EXPECT_FALSE(tcp().frames_to_come(establish().id)) << "their checksums are ours to make";
}

TEST_F(TcpStream, BytesGoBothWays) {
  Connection c = establish();
  feed(data(c, 0, 100));
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, stream(0, 100));
  EXPECT_TRUE(frames.empty());  // The ACK follows what the host takes.
  c.next += 100;
  host_takes(c, 100);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);

  host_sends(c, stream(0, 50));
  const Received reply = take_frame();
  const ByteView payload = reply.tcp().payload();
  EXPECT_EQ(Bytes(payload.begin(), payload.end()), stream(0, 50));
  feed(ack(c));
  EXPECT_EQ(take<DiscardTcp>().bytes, 50u);
}

TEST_F(TcpStream, ABurstIsOneWrite) {
  Connection c = establish();
  constexpr std::size_t kTotal = 300 * 1024;
  std::uint64_t written = 0;
  while (c.sent < kTotal) {
    // A burst of ten segments is one write and one ACK.
    clear();
    const std::uint64_t before = c.sent;
    for (int i = 0; i < 10; ++i) {
      frame(tcp_frame(network(), data(c, c.sent, 1024)));
      c.next += 1024;
      c.sent += 1024;
    }
    end_burst();
    ASSERT_EQ(writes.size(), 1u);
    EXPECT_EQ(writes[0].action.offset, before);
    EXPECT_EQ(writes[0].bytes, stream(before, 10 * 1024));
    written += writes[0].bytes.size();
    host_takes(c, 10 * 1024);
    EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
  }
  EXPECT_EQ(written, kTotal);
}

TEST_F(TcpStream, WindowsFollowWhatIsTaken) {
  // Host to guest: never more in flight than the guest's window.
  Connection c = establish({.window = 1000, .options = {.mss = 1460}});
  tcp().on_readable(c.id, false, {now, sink});
  collect();
  EXPECT_EQ(all<PeekTcp>().at(0).max, 1000u);
  answer_peek(c, stream(0, 1000), true);
  ASSERT_TRUE(engine().has_deferred());
  engine().run_deferred({now, sink});
  collect();
  EXPECT_TRUE(all<PeekTcp>().empty());
  c.window = 3000;
  feed(ack(c));
  EXPECT_EQ(all<PeekTcp>().at(0).max, 3000u);

  // Guest to host: what waits for the host leaves the window.
  clear();
  feed(data(c, 0, 1000));
  tcp().on_written(c.id, {1000, 0, 60'000}, {now, sink});
  collect();
  const std::uint16_t wide = frames.back().tcp().window();
  c.next += 1000;
  c.sent += 1000;
  feed(data(c, 1000, 1000));
  tcp().on_written(c.id, {1000, 1000, 0}, {now, sink});
  collect();
  EXPECT_LE(frames.back().tcp().window(), wide);
}

// Events name flows by handles: readiness reaches the flow that it is about, and a flow that is
// gone is no one else.
TEST_F(TcpStream, EventsReachTheirFlowAndNoOther) {
  Connection a = establish();
  Connection b = establish({.guest = endpoint("10.0.2.15:40001")});
  for (Connection* c : {&b, &a}) {
    clear();
    host_sends(*c, stream(0, 10));
    EXPECT_EQ(take_frame().tcp().destination_port(), c->guest.port);
  }
  feed(rst(a));
  EXPECT_EQ(engine().flow_count(), 1u);
  Connection reused = establish({.guest = endpoint("10.0.2.15:40002")});
  EXPECT_EQ(reused.id.index, a.id.index);
  clear();
  tcp().on_readable(a.id, false, {now, sink});  // Late news of the flow that is gone.
  collect();
  EXPECT_TRUE(actions.empty());
  host_sends(b, stream(10, 10));
  EXPECT_EQ(take_frame().tcp().destination_port(), b.guest.port);
}

TEST_F(TcpStream, HalfCloseByTheGuest) {
  Connection c = establish();
  send(c, 10);
  clear();
  feed(fin(c));
  c.next += 1;
  EXPECT_EQ(all<ShutdownTcp>().size(), 1u);
  EXPECT_TRUE(all<CloseTcp>().empty());
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
  // The host still answers, then ends.
  host_sends(c, stream(0, 40));
  EXPECT_EQ(take_frame().tcp().payload().size(), 40u);
  host_ends(c);
  EXPECT_TRUE(take_frame().tcp().flags().fin());
  feed(ack(c));
  EXPECT_EQ(all<CloseTcp>().size(), 1u);
  EXPECT_FALSE(take<CloseTcp>().reset);
  pass(2s);
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(TcpStream, HalfCloseByTheHost) {
  Connection c = establish();
  host_sends(c, stream(0, 40));
  host_ends(c);
  EXPECT_TRUE(frames.back().tcp().flags().fin());
  clear();
  feed(ack(c));
  EXPECT_TRUE(all<CloseTcp>().empty());
  // The guest still writes, then ends.
  send(c, 25);
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, stream(0, 25));
  clear();
  feed(fin(c));
  EXPECT_EQ(all<ShutdownTcp>().size(), 1u);
  EXPECT_EQ(all<CloseTcp>().size(), 1u);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next + 1);
}

TEST_F(TcpStream, UnansweredFinIsGivenUp) {
  Connection c = establish();
  feed(fin(c));
  host_ends(c);
  clear();
  pass(59s);  // The guest never acknowledges our FIN.
  EXPECT_EQ(engine().flow_count(), 1u);
  EXPECT_FALSE(frames.empty());
  for (const Received& again : frames) EXPECT_TRUE(again.tcp().flags().fin());
  pass(3s);
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_EQ(engine().limits().active(), 0u);
}

TEST_F(TcpStream, RepeatedDataIsWrittenOnce) {
  const Connection c = establish();
  burst(c, {data(c, 0, 100)});
  burst(c, {data(c, 0, 100)});
  burst(c, {data(c, 50, 100), data(c, 0, 150)});
  expect_delivered(150);
  EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next + 150);
}

TEST_F(TcpStream, ReorderedDataIsWrittenInOrder) {
  const Connection c = establish();
  burst(c, {data(c, 100, 100)});
  EXPECT_EQ(delivered_, 0u);
  EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next);  // A duplicate ACK, with the block.
  const auto options = wire::parse_tcp_options(frames.back().tcp().options());
  ASSERT_EQ(options.sack_count, 1);
  EXPECT_EQ(options.sack_blocks[0], (wire::SackBlock{c.next + 100, c.next + 200}));
  burst(c, {data(c, 0, 100)});
  expect_delivered(200);
  EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next + 200);
}

// A burst that closes a gap and goes on behind what had waited.
TEST_F(TcpStream, GapClosedAndPassedWithinOneBurst) {
  const Connection c = establish();
  burst(c, {data(c, 1000, 1000)});
  burst(c, {data(c, 0, 1000), data(c, 2000, 500), data(c, 2500, 500)});
  expect_delivered(3000);
}

TEST_F(TcpStream, FinCarriesPayload) {
  const Connection c = establish();
  GuestSegment last = data(c, 0, 70);
  last.flags = wire::kFin | wire::kAck;
  feed(last);
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, stream(0, 70));
  EXPECT_TRUE(all<ShutdownTcp>().empty());  // Not before the host has the bytes.
  host_takes(c, 70);
  EXPECT_EQ(all<ShutdownTcp>().size(), 1u);
  EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next + 71);
}

TEST_F(TcpStream, LostDataIsSentToTheGuestAgain) {
  Connection c = establish();
  host_sends(c, stream(0, 500));
  clear();
  pass(1100ms);
  const auto peek = take<PeekTcp>();
  EXPECT_EQ(peek.offset, 0u);
  EXPECT_EQ(peek.sequence + 500, c.host_next);
  const Bytes again = stream(0, 500);
  tcp().on_peeked(c.id, {peek.sequence, PeekStatus::kData, again, false}, {now, sink});
  collect();
  const Received repeat = take_frame();
  EXPECT_EQ(repeat.tcp().sequence(), peek.sequence);
  EXPECT_EQ(repeat.tcp().payload().size(), 500u);
}

TEST_F(TcpStream, WhatTheLinkHasNoRoomForIsAskedForAgainLater) {
  Connection c = establish();
  actions.clear();
  tcp().on_readable(c.id, false, {now, sink});
  collect();
  EXPECT_TRUE(tcp().defer(take<PeekTcp>()));
  ASSERT_TRUE(engine().has_deferred());
  actions.clear();
  // Neither an event nor an ACK asks in between.
  tcp().on_readable(c.id, false, {now, sink});
  feed(ack(c));
  EXPECT_TRUE(all<PeekTcp>().empty());
  engine().run_deferred({now, sink});
  collect();
  EXPECT_FALSE(engine().has_deferred());
  answer_peek(c, stream(0, 500), false);
  EXPECT_EQ(take_frame().tcp().payload().size(), 500u);
  // A repair does not wait.
  clear();
  pass(1100ms);
  EXPECT_FALSE(tcp().defer(take<PeekTcp>()));
  EXPECT_FALSE(engine().has_deferred());
}

TEST_F(TcpStream, NothingIsAskedAfterTheEnd) {
  Connection c = establish();
  host_ends(c);
  clear();
  for (int i = 0; i < 3; ++i) {
    tcp().on_readable(c.id, true, {now, sink});
    collect();
    feed(ack(c));
  }
  EXPECT_TRUE(all<PeekTcp>().empty());
  EXPECT_FALSE(engine().has_deferred());
}

}  // namespace
}  // namespace sluice::flow::test
