// Datagrams of the guest and their answers, through the whole engine.
#include <gtest/gtest.h>

#include "flow/ip/fragmenter.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

using UdpFlowsTest = TcpFixture;

TEST_F(UdpFlowsTest, DatagramsGoBothWays) {
  const wire::Endpoint remote = endpoint("198.51.100.7:4000");
  feed(udp_frame(network(), kGuest, remote, stream(0, 300)));
  const auto open = all<OpenUdp>();
  ASSERT_EQ(open.size(), 1u);
  ASSERT_EQ(datagrams.size(), 1u);
  EXPECT_EQ(datagrams[0].action.target, remote);
  EXPECT_EQ(datagrams[0].bytes, stream(0, 300));
  const Bytes reply = stream(7, 200);
  engine().udp().on_received(open[0].socket, remote, std::nullopt, reply, 0, {now, sink});
  collect();
  const Received received = take_frame();
  EXPECT_EQ(received.packet().source, remote.address);
  EXPECT_EQ(received.udp().source_port(), remote.port);
  EXPECT_EQ(received.udp().destination_port(), kGuest.port);
  const ByteView payload = received.udp().payload();
  EXPECT_EQ(Bytes(payload.begin(), payload.end()), reply);
  EXPECT_TRUE(received.udp().checksum_ok(remote.address, kGuest.address));
}

TEST_F(UdpFlowsTest, UdpAndPingAreLimited) {
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

TEST_F(UdpFlowsTest, FragmentsAreReassembled) {
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

TEST_F(UdpFlowsTest, LargeRepliesAreFragmented) {
  const wire::Endpoint remote = endpoint("198.51.100.7:4000");
  feed(udp_frame(network(), kGuest, remote, {1}));
  const UdpId socket = take<OpenUdp>().socket;
  const Bytes reply = stream(0, 4000);
  engine().udp().on_received(socket, remote, std::nullopt, reply, 0, {now, sink});
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

}  // namespace
}  // namespace sluice::flow::test
