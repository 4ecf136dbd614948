// How connections begin, from the guest and from clients of published ports, and how they are
// refused.
#include <gtest/gtest.h>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

using TcpOpen = TcpFixture;

TEST_F(TcpOpen, HostConnectsBeforeTheGuestIsAnswered) {
  feed(syn({}));
  EXPECT_TRUE(frames.empty());  // Not before the host has connected.
  const auto connect = take<ConnectTcp>();
  EXPECT_EQ(connect.target, kServer);
  tcp().on_connected(connect.flow, 64 * 1024, {now, sink});
  collect();
  const Received reply = take_frame();
  EXPECT_EQ(reply.packet().source, kServer.address);
  EXPECT_EQ(reply.packet().destination, kGuest.address);
  EXPECT_EQ(reply.tcp().source_port(), kServer.port);
  EXPECT_EQ(reply.tcp().destination_port(), kGuest.port);
  EXPECT_EQ(reply.tcp().flags(), wire::kSyn | wire::kAck);
  EXPECT_EQ(reply.tcp().acknowledgment(), wire::SeqNum{1000});
  EXPECT_TRUE(reply.tcp().checksum_ok(kServer.address, kGuest.address));
}

TEST_F(TcpOpen, WindowScaleIsNegotiated) {
  (void)connect();
  const auto options = wire::parse_tcp_options(frames.back().tcp().options());
  EXPECT_EQ(options.window_scale, TcpFlows::kWindowScale);
  EXPECT_EQ(options.mss, 1460);
}

TEST_F(TcpOpen, WindowScaleOnlyWhereOffered) {
  (void)connect({.options = {.mss = 1460}});
  const auto options = wire::parse_tcp_options(frames.back().tcp().options());
  EXPECT_FALSE(options.window_scale.has_value());
  EXPECT_FALSE(options.sack_permitted);
}

TEST_F(TcpOpen, RepeatedSynDoesNotStartAgain) {
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

TEST_F(TcpOpen, SlowConnectHoldsUpNoOtherFlow) {
  feed(syn({.guest = endpoint("10.0.2.15:41000"), .remote = endpoint("203.0.113.9:1")}));
  clear();
  Connection c = establish();
  send(c, 10);
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, stream(0, 10));
  EXPECT_EQ(engine().flow_count(), 2u);
}

TEST_F(TcpOpen, FailedConnectIsAReset) {
  feed(syn({}));
  const TcpId id = take<ConnectTcp>().flow;
  pass(2s);
  EXPECT_TRUE(frames.empty());
  tcp().on_connect_failed(id, HostError::kRefused, {now, sink});
  collect();
  const Received reply = take_frame();
  EXPECT_EQ(reply.tcp().flags(), wire::kRst | wire::kAck);
  EXPECT_EQ(reply.tcp().acknowledgment(), wire::SeqNum{1000});
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_EQ(take<ReportFlow>().summary.outcome, policy::Outcome::kRefused);
}

TEST_F(TcpOpen, TooManyInASecondAreReset) {
  restart({.limits = {.max_flows = 1000, .new_flows_per_second = 3}});
  for (std::uint16_t i = 0; i < 3; ++i) {
    feed(syn({.guest = {kGuest.address, wire::Port{static_cast<std::uint16_t>(1000 + i)}}}));
  }
  EXPECT_EQ(all<ConnectTcp>().size(), 3u);
  EXPECT_TRUE(frames.empty());
  feed(syn({}));
  const Received reply = take_frame();
  EXPECT_EQ(reply.tcp().flags(), wire::kRst | wire::kAck);
  EXPECT_EQ(reply.tcp().sequence(), wire::SeqNum{0});
  EXPECT_EQ(reply.tcp().acknowledgment(), wire::SeqNum{1000});
  EXPECT_EQ(drops(DropReason::kTooManyNewFlows), 1u);
  pass(2s);
  actions.clear();
  feed(syn({}));
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
}

TEST_F(TcpOpen, TooManyAtOnceAreReset) {
  restart({.limits = {.max_flows = 2}});
  for (std::uint16_t i = 0; i < 2; ++i) {
    feed(syn({.guest = {kGuest.address, wire::Port{static_cast<std::uint16_t>(1000 + i)}}}));
  }
  const TcpId first = all<ConnectTcp>().at(0).flow;
  clear();
  feed(syn({}));
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_EQ(drops(DropReason::kTooManyFlows), 1u);
  EXPECT_EQ(engine().flow_count(), 2u);
  // Room again once one has ended.
  tcp().on_connect_failed(first, HostError::kRefused, {now, sink});
  collect();
  clear();
  feed(syn({}));
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
}

TEST_F(TcpOpen, DeniedIsReset) {
  feed(syn({.remote = endpoint("169.254.169.254:80")}));
  EXPECT_EQ(take_frame().tcp().flags(), wire::kRst | wire::kAck);
  EXPECT_TRUE(all<ConnectTcp>().empty());
  EXPECT_EQ(drops(DropReason::kDeniedByPolicy), 1u);
  EXPECT_EQ(take<ReportFlow>().summary.verdict, policy::Verdict::kDeniedByPolicy);
}

TEST_F(TcpOpen, ClientOfAPublishedPortIsConnected) {
  const wire::Endpoint service{network().guest_v4, {80}};
  const wire::Endpoint client = endpoint("192.0.2.1:51000");
  const auto id = tcp().on_inbound(client, service, 64 * 1024, {now, sink});
  ASSERT_TRUE(id.has_value());
  collect();
  const Received knock = take_frame();
  EXPECT_EQ(knock.tcp().flags(), wire::kSyn);
  EXPECT_EQ(knock.packet().source, client.address);
  Connection c{.id = *id,
               .guest = service,
               .remote = client,
               .next = wire::SeqNum{5000},
               .host_next = knock.tcp().sequence() + 1};
  GuestSegment reply = ack(c);
  reply.flags = wire::kSyn | wire::kAck;
  reply.options = {.mss = 1460, .window_scale = 7};
  feed(reply);
  c.next += 1;
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);

  host_sends(c, stream(0, 20));
  EXPECT_EQ(take_frame().tcp().payload().size(), 20u);
  feed(data(c, 0, 30));
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, stream(0, 30));
}

TEST_F(TcpOpen, InboundSynHasNoAck) {
  const auto id =
      tcp().on_inbound(endpoint("192.0.2.1:51000"), endpoint("10.0.2.15:80"), 65'536, {now, sink});
  ASSERT_TRUE(id.has_value());
  collect();
  const Received knock = take_frame();
  EXPECT_EQ(knock.tcp().flags(), wire::kSyn);
  EXPECT_EQ(knock.tcp().acknowledgment(), wire::SeqNum{0});
}

}  // namespace
}  // namespace sluice::flow::test
