// What user-mode networks are known to get wrong, each as the behaviour that is right.
#include <gtest/gtest.h>

#include "flow/ip/fragmenter.h"
#include "unit/dns/dns_messages.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {

using namespace dns::test;

namespace {

class ReferenceDefects : public TcpFixture {
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

TEST_F(ReferenceDefects, RepeatedDataIsWrittenOnce) {
  const Connection c = establish();
  burst(c, {data(c, 0, 100)});
  burst(c, {data(c, 0, 100)});
  burst(c, {data(c, 50, 100), data(c, 0, 150)});
  expect_delivered(150);
  EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next + 150);
}

TEST_F(ReferenceDefects, ReorderedDataIsWrittenInOrder) {
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
TEST_F(ReferenceDefects, GapClosedAndPassedWithinOneBurst) {
  const Connection c = establish();
  burst(c, {data(c, 1000, 1000)});
  burst(c, {data(c, 0, 1000), data(c, 2000, 500), data(c, 2500, 500)});
  expect_delivered(3000);
}

TEST_F(ReferenceDefects, FinCarriesPayload) {
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

TEST_F(ReferenceDefects, RepeatedSynDoesNotStartAgain) {
  feed(syn({}));
  feed(syn({}));
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
  EXPECT_EQ(engine().flow_count(), 1u);
  EXPECT_EQ(drops(DropReason::kTcpDuplicateSyn), 1u);
  const TcpId id = take<ConnectTcp>().flow;
  tcp().on_connected(id, 65'536, {now, sink});
  collect();
  const wire::SeqNum isn = take_frame().tcp().sequence();
  feed(syn({}));  // The SYN-ACK was lost: the same one again.
  EXPECT_EQ(take_frame().tcp().sequence(), isn);
  EXPECT_TRUE(all<ConnectTcp>().empty());
}

TEST_F(ReferenceDefects, LostDataIsSentToTheGuestAgain) {
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

TEST_F(ReferenceDefects, InboundSynHasNoAck) {
  const auto id =
      tcp().on_inbound(endpoint("192.0.2.1:51000"), endpoint("10.0.2.15:80"), 65'536, {now, sink});
  ASSERT_TRUE(id.has_value());
  collect();
  const Received knock = take_frame();
  EXPECT_EQ(knock.tcp().flags(), wire::kSyn);
  EXPECT_EQ(knock.tcp().acknowledgment(), wire::SeqNum{0});
}

TEST_F(ReferenceDefects, IcmpObeysTheDenyList) {
  feed(ping_frame(network(), ip("169.254.169.254"), 1, 1, stream(0, 8)));
  EXPECT_TRUE(all<OpenPing>().empty());
  EXPECT_EQ(take_frame().icmp().type(), wire::IcmpType::kDestinationUnreachable);
  EXPECT_EQ(drops(DropReason::kDeniedByPolicy), 1u);
}

TEST_F(ReferenceDefects, UdpAndIcmpAreLimited) {
  restart({.limits = {.max_flows = 2}});
  feed(udp_frame(network(), kGuest, endpoint("198.51.100.7:1"), {1}));
  feed(ping_frame(network(), ip("198.51.100.7"), 1, 1, stream(0, 8)));
  EXPECT_EQ(engine().flow_count(), 2u);
  clear();
  feed(udp_frame(network(), kGuest, endpoint("198.51.100.7:2"), {1}));
  EXPECT_EQ(take_frame().icmp().type(), wire::IcmpType::kDestinationUnreachable);
  feed(ping_frame(network(), ip("198.51.100.8"), 1, 1, stream(0, 8)));
  EXPECT_EQ(take_frame().icmp().type(), wire::IcmpType::kDestinationUnreachable);
  EXPECT_TRUE(datagrams.empty());
  EXPECT_TRUE(pings.empty());
  EXPECT_EQ(drops(DropReason::kTooManyFlows), 2u);
}

TEST_F(ReferenceDefects, DnsIsAskedWithoutWaiting) {
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  feed(udp_frame(network(), kGuest, {network().dns_v4, {53}}, make_query("example.com")));
  EXPECT_EQ(engine().dns_actions().size(), 1u);
  Connection c = establish();  // Other flows go on meanwhile.
  send(c, 10);
  EXPECT_EQ(writes.size(), 1u);
}

TEST_F(ReferenceDefects, DnsAnswersMustFitTheQuestion) {
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  feed(udp_frame(network(), kGuest, {network().dns_v4, {53}}, make_query("example.com")));
  ASSERT_EQ(engine().dns_actions().size(), 1u);
  const auto open = std::get<dns::OpenDnsUdp>(engine().dns_actions()[0]);
  engine().dns_actions().clear();
  const auto deliver = [&](const Bytes& message) {
    engine().on_dns_answer(open.slot, Engine::DnsTransport::kUdp, message, {now, sink});
    collect();
  };
  Bytes wrong_id = make_answer(open.message, {.records = {{"192.0.2.66"}}});
  wrong_id[0] = static_cast<std::uint8_t>(wrong_id[0] ^ 1);
  deliver(wrong_id);
  const std::uint16_t id = wire::DnsView::parse(open.message)->header().id;
  deliver(make_answer(make_query("evil.example", {.id = id}), {.records = {{"192.0.2.66"}}}));
  EXPECT_TRUE(frames.empty());
  // From another slot, that is from a source that was not asked.
  engine().on_dns_answer({open.slot.value + 1}, Engine::DnsTransport::kUdp,
                         make_answer(open.message, {.records = {{"192.0.2.66"}}}), {now, sink});
  collect();
  EXPECT_TRUE(frames.empty());
  deliver(make_answer(open.message, {.records = {{"192.0.2.80"}}}));
  EXPECT_EQ(frames.size(), 1u);
}

TEST_F(ReferenceDefects, DnsHonoursTheTtlOfTheRecord) {
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  const auto ask = [&] {
    feed(udp_frame(network(), kGuest, {network().dns_v4, {53}}, make_query("example.com")));
  };
  ask();
  ASSERT_EQ(engine().dns_actions().size(), 1u);
  const auto open = std::get<dns::OpenDnsUdp>(engine().dns_actions()[0]);
  engine().dns_actions().clear();
  engine().on_dns_answer(open.slot, Engine::DnsTransport::kUdp,
                         make_answer(open.message, {.records = {{"192.0.2.80", 10}}}), {now, sink});
  collect();
  engine().dns_actions().clear();
  clear();
  pass(4s);
  ask();
  EXPECT_TRUE(engine().dns_actions().empty());
  EXPECT_EQ(first_ttl(take_frame().udp().payload()), 6u);
  pass(7s);
  ask();
  EXPECT_EQ(engine().dns_actions().size(), 1u);
}

// The bound itself is tested in DnsCache.EntriesAndBytesAreBounded; here, that the engine has one.
TEST_F(ReferenceDefects, DnsQuestionsAreBounded) {
  engine().set_resolvers({endpoint("192.0.2.53:53")});
  const std::size_t most = dns::DnsRelayLimits{}.pending_max;
  for (std::size_t i = 0; i < most + 10; ++i) {
    feed(udp_frame(network(), kGuest, {network().dns_v4, {53}},
                   make_query("host" + std::to_string(i) + ".example")));
  }
  EXPECT_EQ(engine().dns_actions().size(), most);
  EXPECT_EQ(drops(DropReason::kDnsTooMany), 10u);
  // They are told, and so need not wait for silence.
  EXPECT_EQ(frames.size(), 10u);
  const auto refusal = wire::DnsView::parse(frames.back().udp().payload()).value();
  EXPECT_EQ(refusal.header().rcode, wire::DnsRcode::kServFail);
}

TEST_F(ReferenceDefects, NothingIsAskedAfterTheEnd) {
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

TEST_F(ReferenceDefects, FragmentsAreReassembled) {
  const wire::Endpoint remote = endpoint("198.51.100.7:4000");
  const Bytes whole = udp_datagram(kGuest, remote, stream(0, 4000));
  Fragmenter fragments({.guest_mac = network().gateway_mac,
                        .gateway_mac = network().guest_mac,
                        .source = kGuest.address,
                        .destination = remote.address,
                        .protocol = wire::IpProtocol::kUdp,
                        .identification = 7,
                        .payload = whole},
                       1500);
  Bytes room(fragments.frame_size_max());
  int count = 0;
  while (const std::size_t length = fragments.next(room)) {
    feed(Bytes(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(length)));
    ++count;
  }
  EXPECT_EQ(count, 3);
  ASSERT_EQ(datagrams.size(), 1u);
  EXPECT_EQ(datagrams[0].bytes, stream(0, 4000));
}

TEST_F(ReferenceDefects, LargeUdpRepliesAreFragmented) {
  const wire::Endpoint remote = endpoint("198.51.100.7:4000");
  feed(udp_frame(network(), kGuest, remote, {1}));
  const UdpId socket = take<OpenUdp>().socket;
  const Bytes reply = stream(0, 4000);
  engine().udp().on_received(socket, {remote, std::nullopt, reply, 0}, {now, sink});
  collect();
  ASSERT_EQ(frames.size(), 3u);
  std::size_t total = 0;
  for (const Received& piece : frames) {
    EXPECT_TRUE(piece.packet().fragment.has_value());
    EXPECT_LE(piece.packet().packet.size(), 1500u);
    total += piece.packet().payload.size();
  }
  EXPECT_EQ(total, 8 + reply.size());
}

TEST_F(ReferenceDefects, WindowScaleOnlyWhereOffered) {
  (void)connect({.options = {.mss = 1460}});
  const auto options = wire::parse_tcp_options(frames.back().tcp().options());
  EXPECT_FALSE(options.window_scale.has_value());
  EXPECT_FALSE(options.sack_permitted);
}

}  // namespace
}  // namespace sluice::flow::test
