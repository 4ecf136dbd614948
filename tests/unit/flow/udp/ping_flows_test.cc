// Echo requests of the guest and their replies, through the whole engine.
#include <gtest/gtest.h>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

using PingFlowsTest = TcpFixture;

TEST_F(PingFlowsTest, EchoIsAnswered) {
  feed(ping_frame(network(), ip("198.51.100.7"), 77, 3, stream(0, 56)));
  const auto open = all<OpenPing>();
  ASSERT_EQ(open.size(), 1u);
  ASSERT_EQ(pings.size(), 1u);
  // The host's kernel puts an identifier of its own on the wire.
  Bytes reply = echo_message(wire::IcmpType::kEchoReply, 12'345, 3, stream(0, 56));
  engine().ping().on_reply(open[0].socket, ip("198.51.100.7"), reply, {now, sink});
  collect();
  const Received received = take_frame();
  EXPECT_EQ(received.icmp().type(), wire::IcmpType::kEchoReply);
  EXPECT_EQ(received.icmp().identifier(), 77);
  EXPECT_EQ(received.icmp().sequence_number(), 3);
  EXPECT_TRUE(received.icmp().checksum_ok());

  // The gateway answers by itself.
  feed(ping_frame(network(), network().gateway_v4, 78, 1, stream(0, 56)));
  EXPECT_EQ(take_frame().icmp().type(), wire::IcmpType::kEchoReply);
}

TEST_F(PingFlowsTest, DeniedIsRefused) {
  feed(ping_frame(network(), ip("169.254.169.254"), 1, 1, stream(0, 8)));
  EXPECT_TRUE(all<OpenPing>().empty());
  EXPECT_EQ(take_frame().icmp().type(), wire::IcmpType::kDestinationUnreachable);
  EXPECT_EQ(drops(DropReason::kDeniedByPolicy), 1u);
}

}  // namespace
}  // namespace sluice::flow::test
