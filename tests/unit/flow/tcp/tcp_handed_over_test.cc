// Connections that the driver was asked to hand over, and those that were: packets, answers, ends.
#include <gtest/gtest.h>

#include "flow/ip/fragmenter.h"
#include "unit/flow/tcp/hand_over_fixture.h"

namespace sluice::flow::test {
namespace {

class TcpHandedOver : public HandOverFixture {};

// While it is asked for.

TEST_F(TcpHandedOver, PacketsWaitWithTheDriver) {
  Connection c = asked();
  clear();
  const GuestSegment segment = data(c, 0, 700);
  feed_diverted(segment);
  feed_diverted(fin(c));
  feed_diverted(rst(c));
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(actions.size(), 3u);
  EXPECT_EQ(all<DivertTcp>().size(), 3u);
  ASSERT_EQ(diverted.size(), 3u);
  EXPECT_EQ(diverted[0].flow, c.id);
  const Bytes whole = tcp_frame(network(), segment);
  EXPECT_EQ(diverted[0].packet, Bytes(whole.begin() + 14, whole.end()));
  // What the host does waits as well.
  tcp().on_readable(c.id, true, {now, sink});
  tcp().on_room(c.id, 0, 4 * 1024 * 1024, {now, sink});
  collect();
  EXPECT_EQ(actions.size(), 3u);
  pass(10s);
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(actions.size(), 3u);
}

TEST_F(TcpHandedOver, AfterAFailureTheGuestIsToldTheWindow) {
  Connection c = asked({.room = 1000});
  tcp().on_room(c.id, 0, 2 * 1024 * 1024, {now, sink});
  tcp().on_readable(c.id, false, {now, sink});
  collect();
  clear();
  fail(c);
  const Received told = take_frame();
  EXPECT_EQ(told.tcp().flags(), wire::kAck);
  EXPECT_GE(edge_of(told) - c.next, 2 * 1024 * 1024);
  EXPECT_EQ(all<PeekTcp>().size(), 1u);
  answer_peek(c, stream(0, 10), false);
  EXPECT_EQ(take_frame().tcp().payload().size(), 10u);
  // There is no second answer.
  tcp().on_handed_over(c.id, {now, sink});
  tcp().on_hand_over_failed(c.id, {now, sink});
  collect();
  EXPECT_TRUE(frames.empty());
  EXPECT_TRUE(std::holds_alternative<Relaying>(flow(c)->state));
}

TEST_F(TcpHandedOver, AfterAFailurePacketsCountAsIfTheyHadJustArrived) {
  Connection c = asked();
  feed_diverted(data(c, 500, 500));  // In the wrong order, and one twice.
  feed_diverted(data(c, 0, 500));
  feed_diverted(data(c, 0, 500));
  clear();
  fail(c);
  // What came too early is in the stash.
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].action.offset, 0u);
  EXPECT_EQ(writes[0].action.until, 1000u);
  EXPECT_EQ(writes[0].bytes, stream(0, 500));
  EXPECT_EQ(all<StashTcp>().size(), 1u);
  c.next += 1000;
  clear();
  host_takes(c, 1000);
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
}

TEST_F(TcpHandedOver, AfterAFailureAFinCounts) {
  Connection c = asked();
  feed_diverted(data(c, 0, 500));
  GuestSegment last = fin(c);
  last.sequence += 500;
  feed_diverted(last);
  clear();
  fail(c);
  host_takes(c, 500);
  EXPECT_EQ(all<ShutdownTcp>().size(), 1u);
}

TEST_F(TcpHandedOver, AfterAFailureARstCounts) {
  const Connection c = asked();
  feed_diverted(rst(c));
  clear();
  fail(c);
  EXPECT_TRUE(take<CloseTcp>().reset);
  EXPECT_EQ(engine().flow_count(), 0u);
}

// A datagram in pieces is whole, or it is lost like any packet: its last piece alone is neither.
TEST_F(TcpHandedOver, FragmentsAreNoPacketsOfTheirOwn) {
  Connection c = asked();
  const Bytes whole = tcp_frame(network(), data(c, 0, 1200));
  const ByteView segment = ByteView(whole).subspan(34);
  Fragmenter fragments({.guest_mac = network().gateway_mac,
                        .gateway_mac = network().guest_mac,
                        .source = kGuest.address,
                        .destination = kServer.address,
                        .protocol = wire::IpProtocol::kTcp,
                        .identification = 7,
                        .header = {},
                        .payload = segment},
                       600);
  clear();
  for (;;) {
    Bytes piece(fragments.frame_size_max());
    const std::size_t length = fragments.next(piece);
    if (length == 0) break;
    piece.resize(length);
    frame(std::move(piece));
  }
  engine().end_burst(BurstEnd::kDrained, {now, sink});
  for (const Action& action : sink.actions()) {
    const auto* divert = std::get_if<DivertTcp>(&action);
    ASSERT_NE(divert, nullptr);
    const auto packet = wire::parse_ip_packet(wire::EtherType::kIpv4, divert->packet);
    ASSERT_TRUE(packet.has_value());
    EXPECT_FALSE(packet->fragment);
    EXPECT_EQ(packet->payload.size(), 1220u);
  }
  collect();
}

TEST_F(TcpHandedOver, SocketLostWhileAskedFor) {
  const Connection c = asked();
  clear();
  tcp().on_socket_lost(c.id, {now, sink});
  collect();
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(outcome(), policy::Outcome::kResetByHost);
  EXPECT_TRUE(all<ReleaseTcp>().empty());  // It was not handed over.
  EXPECT_TRUE(take<CloseTcp>().reset);
  EXPECT_EQ(engine().flow_count(), 0u);
  tcp().on_handed_over(c.id, {now, sink});
  tcp().on_hand_over_failed(c.id, {now, sink});
  collect();
  EXPECT_TRUE(actions.empty());
  EXPECT_TRUE(frames.empty());
}

TEST_F(TcpHandedOver, ShutDownWhileAskedFor) {
  const Connection c = asked();
  clear();
  engine().shut_down({now, sink});
  collect();
  EXPECT_EQ(outcome(), policy::Outcome::kGivenUp);  // Its packets may wait with the driver.
  EXPECT_TRUE(all<ReleaseTcp>().empty());
  EXPECT_EQ(take<CloseTcp>().flow, c.id);
}

// Handed over.

TEST_F(TcpHandedOver, TheGuestIsToldTheWindow) {
  const Connection c = handed_over();
  EXPECT_TRUE(actions.empty());
  const Received told = take_frame();
  EXPECT_EQ(told.tcp().flags(), wire::kAck);
  EXPECT_EQ(told.tcp().sequence(), c.host_next);
  EXPECT_EQ(told.tcp().acknowledgment(), c.next);
  EXPECT_EQ(edge_of(told), c.next + 1024 * 1024);
  EXPECT_TRUE(std::holds_alternative<HandedOver>(flow(c)->state));
}

TEST_F(TcpHandedOver, TheGuestIsToldTheWindowWithoutScaling) {
  const ConnectionOptions wanted{.options = {.mss = 1460}};
  (void)handed_over(wanted);
  EXPECT_EQ(take_frame().tcp().window(), 0xffffu);
}

TEST_F(TcpHandedOver, LaterPacketsAreDiverted) {
  const Connection c = handed_over();
  clear();
  feed_diverted(data(c, 0, 100));
  feed_diverted(syn({}));  // A late copy of the first SYN is the socket's to challenge.
  feed_diverted(rst(c));
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(actions.size(), 3u);
  EXPECT_EQ(diverted.size(), 3u);
  // Events of the host's socket that were on their way mean nothing any more.
  tcp().on_readable(c.id, true, {now, sink});
  tcp().on_room(c.id, 0, 1000, {now, sink});
  tcp().on_written(c.id, {1, 0, 1000}, {now, sink});
  tcp().on_peeked(c.id, {c.host_next, PeekStatus::kData, stream(0, 10), false}, {now, sink});
  tcp().on_handed_over(c.id, {now, sink});
  tcp().on_hand_over_failed(c.id, {now, sink});
  collect();
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(actions.size(), 3u);
}

TEST_F(TcpHandedOver, WhatIsCarriedIsReportedOnce) {
  Connection c = establish();
  send(c, 300);
  host_sends(c, stream(0, 50));
  tcp().set_hand_over(HandOverWhen::kAlways);
  feed(ack(c));
  tcp().on_handed_over(c.id, {now, sink});
  EXPECT_EQ(std::get<HandedOver>(flow(c)->state).guest_isn, wire::SeqNum{999});
  tcp().on_carried(c.id, 10, 20, now);
  tcp().on_carried(c.id, 1000, 2000, now);
  collect();
  clear();
  tcp().on_carried_to_end(c.id, policy::Outcome::kClosed, {now, sink});
  tcp().on_carried(c.id, 5, 5, now);
  tcp().on_carried_to_end(c.id, policy::Outcome::kResetByHost, {now, sink});
  tcp().on_socket_lost(c.id, {now, sink});
  collect();
  ASSERT_EQ(actions.size(), 1u);
  const FlowSummary summary = take<ReportFlow>().summary;
  EXPECT_EQ(summary.outcome, policy::Outcome::kClosed);
  EXPECT_EQ(summary.bytes_to_host, 1300u);
  EXPECT_EQ(summary.bytes_to_guest, 2050u);
  EXPECT_EQ(summary.key.guest, kGuest);
  // Its packets still go to the socket for a while.
  feed_diverted(fin(c));
  EXPECT_EQ(all<DivertTcp>().size(), 1u);
  clear();
  pass(1900ms);
  EXPECT_TRUE(actions.empty());
  pass(200ms);
  ASSERT_EQ(actions.size(), 1u);
  const auto release = take<ReleaseTcp>();
  EXPECT_EQ(release.guest, kGuest);
  EXPECT_EQ(release.remote, kServer);
  EXPECT_EQ(engine().flow_count(), 0u);
}

// A SYN that begins elsewhere shows that the guest has forgotten the connection.
TEST_F(TcpHandedOver, TheNameIsUsedAgainBeforeTheEnd) {
  const Connection c = handed_over();
  clear();
  feed(syn({.guest_isn = wire::SeqNum{77'000}}));
  ASSERT_EQ(actions.size(), 4u);
  EXPECT_EQ(std::get<CloseTcp>(actions[0]).flow, c.id);
  EXPECT_TRUE(std::get<CloseTcp>(actions[0]).reset);
  EXPECT_EQ(std::get<ReportFlow>(actions[1]).summary.outcome, policy::Outcome::kResetByGuest);
  EXPECT_EQ(std::get<ReleaseTcp>(actions[2]).guest, kGuest);
  EXPECT_NE(std::get<ConnectTcp>(actions[3]).flow, c.id);
  EXPECT_EQ(engine().limits().active(), 1u);
}

TEST_F(TcpHandedOver, TheNameIsUsedAgain) {
  const Connection c = handed_over();
  tcp().on_carried_to_end(c.id, policy::Outcome::kClosed, {now, sink});
  collect();
  clear();
  feed(syn({.guest_isn = wire::SeqNum{77'000}}));
  ASSERT_EQ(actions.size(), 2u);
  EXPECT_EQ(std::get<ReleaseTcp>(actions[0]).guest, kGuest);
  const TcpId fresh = std::get<ConnectTcp>(actions[1]).flow;
  EXPECT_NE(fresh, c.id);
  EXPECT_EQ(engine().flow_count(), 1u);
  clear();
  pass(3s);  // The old one's timer is gone.
  EXPECT_TRUE(all<ReleaseTcp>().empty());
  EXPECT_EQ(engine().flow_count(), 1u);
}

TEST_F(TcpHandedOver, SocketLostWhenHandedOver) {
  const Connection c = handed_over();
  clear();
  tcp().on_socket_lost(c.id, {now, sink});
  collect();
  EXPECT_TRUE(frames.empty());  // The RST is the socket's.
  ASSERT_EQ(actions.size(), 3u);
  EXPECT_TRUE(std::get<CloseTcp>(actions[0]).reset);
  EXPECT_EQ(std::get<ReportFlow>(actions[1]).summary.outcome, policy::Outcome::kResetByHost);
  EXPECT_TRUE(std::holds_alternative<ReleaseTcp>(actions[2]));
  tcp().on_carried_to_end(c.id, policy::Outcome::kClosed, {now, sink});
  collect();
  EXPECT_EQ(actions.size(), 3u);
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(TcpHandedOver, ShutDownWhenHandedOver) {
  const Connection c = handed_over();
  clear();
  pass(1s);
  engine().shut_down({now, sink});
  collect();
  EXPECT_EQ(outcome(), policy::Outcome::kOpen);
  EXPECT_EQ(all<ReleaseTcp>().size(), 1u);
  EXPECT_EQ(take<CloseTcp>().flow, c.id);
}

TEST_F(TcpHandedOver, ShutDownWhenItHasEnded) {
  const Connection c = handed_over();
  tcp().on_carried_to_end(c.id, policy::Outcome::kClosed, {now, sink});
  collect();
  clear();
  engine().shut_down({now, sink});
  collect();
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<ReleaseTcp>(actions[0]));
  EXPECT_EQ(engine().flow_count(), 0u);
}

TEST_F(TcpHandedOver, IdleLimit) {
  EngineOptions options;
  options.tcp.idle_limit = 60s;
  restart(options);
  const Connection c = handed_over();
  clear();
  pass(59s);
  tcp().on_carried(c.id, 1, 0, now);
  pass(59s);
  EXPECT_TRUE(actions.empty());
  pass(2s);
  EXPECT_EQ(outcome(), policy::Outcome::kTimedOut);
  EXPECT_EQ(all<ReleaseTcp>().size(), 1u);
  EXPECT_TRUE(take<CloseTcp>().reset);
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_EQ(engine().next_wakeup(), kNever);
}

TEST_F(TcpHandedOver, IdleLimitWhileAskedFor) {
  EngineOptions options;
  options.tcp.idle_limit = 60s;
  restart(options);
  (void)asked();
  clear();
  pass(61s);
  EXPECT_EQ(outcome(), policy::Outcome::kTimedOut);
  EXPECT_TRUE(take<CloseTcp>().reset);
}

TEST_F(TcpHandedOver, LimitsAreReleasedOnce) {
  EngineOptions options;
  options.limits.max_flows = 2;
  restart(options);
  Connection first = handed_over({.guest = endpoint("10.0.2.15:40001")});
  const Connection second = handed_over({.guest = endpoint("10.0.2.15:40002")});
  EXPECT_EQ(engine().limits().active(), 2u);
  tcp().on_carried_to_end(first.id, policy::Outcome::kClosed, {now, sink});
  collect();
  EXPECT_EQ(engine().limits().active(), 1u);  // The one that lingers does not count.
  pass(3s);
  EXPECT_EQ(engine().limits().active(), 1u);
  tcp().on_socket_lost(second.id, {now, sink});
  collect();
  EXPECT_EQ(engine().limits().active(), 0u);
  (void)asked({.guest = endpoint("10.0.2.15:40003")});
  engine().shut_down({now, sink});
  collect();
  EXPECT_EQ(engine().limits().active(), 0u);
}

TEST_F(TcpHandedOver, UnknownIdsAreIgnored) {
  const Connection c = establish();
  const TcpId unknown{SlabHandle{7, 9}};
  tcp().on_handed_over(unknown, {now, sink});
  tcp().on_hand_over_failed(unknown, {now, sink});
  tcp().on_carried(unknown, 1, 1, now);
  tcp().on_carried_to_end(unknown, policy::Outcome::kClosed, {now, sink});
  // Nor does an answer count that nobody asked for.
  tcp().on_handed_over(c.id, {now, sink});
  tcp().on_hand_over_failed(c.id, {now, sink});
  tcp().on_carried(c.id, 1, 1, now);
  tcp().on_carried_to_end(c.id, policy::Outcome::kClosed, {now, sink});
  collect();
  EXPECT_TRUE(actions.empty());
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(flow(c)->bytes_to_host, 0u);
}

TEST_F(TcpHandedOver, ReturnedBytesThatAreNoPacketAreIgnored) {
  const Connection c = establish();
  Bytes whole = tcp_frame(network(), data(c, 0, 100));
  whole.erase(whole.begin(), whole.begin() + 14);
  for (std::size_t length = 0; length < 40; ++length) {
    engine().on_returned(ByteView(whole).first(length), {now, sink});
  }
  collect();
  EXPECT_TRUE(actions.empty());
}

// What the guest may still send is part of what drain() waits for.
TEST_F(TcpHandedOver, UndeliveredCountsThemUntilTheyHaveEnded) {
  const Connection c = handed_over();
  EXPECT_EQ(tcp().undelivered(now).flows, 1u);
  tcp().on_carried_to_end(c.id, policy::Outcome::kClosed, {now, sink});
  collect();
  EXPECT_EQ(tcp().undelivered(now).flows, 0u);
}

}  // namespace
}  // namespace sluice::flow::test
