// Neighbours, and where the packets of the guest lead.
#include <gtest/gtest.h>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

using EngineTest = TcpFixture;

TEST_F(EngineTest, ArpForTheGateway) {
  feed(arp_request(network(), network().gateway_v4));
  const wire::ArpRepr reply = take_frame().arp();
  EXPECT_EQ(reply.operation, wire::ArpOperation::kReply);
  EXPECT_EQ(reply.sender_ip, network().gateway_v4);
  EXPECT_EQ(reply.sender_mac, network().gateway_mac);
}

TEST_F(EngineTest, ArpForAnyNeighbour) {
  feed(arp_request(network(), ip("10.0.2.77")));
  EXPECT_EQ(take_frame().arp().sender_ip, ip("10.0.2.77"));
}

TEST_F(EngineTest, NoArpForTheGuestsOwnAddress) {
  feed(arp_request(network(), network().guest_v4));
  EXPECT_TRUE(frames.empty());
}

TEST_F(EngineTest, GatewayIsTheHostsLoopbackWhereAsked) {
  const wire::Endpoint gateway{network().gateway_v4, {8080}};
  feed(syn({.remote = gateway}));  // Not unless asked for.
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  EXPECT_TRUE(all<ConnectTcp>().empty());

  restart({.host_loopback = true});
  feed(syn({.remote = gateway}));
  EXPECT_EQ(take<ConnectTcp>().target, endpoint("127.0.0.1:8080"));
}

TEST_F(EngineTest, OtherAddressesStayAsTheyAre) {
  feed(syn({.remote = endpoint("203.0.113.9:443")}));
  EXPECT_EQ(take<ConnectTcp>().target, endpoint("203.0.113.9:443"));
}

TEST_F(EngineTest, ABatchOfMoreDatagramsThanAnyoneSendsIsMalformed) {
  const Bytes bytes = udp_frame(network(), kGuest, endpoint("203.0.113.9:443"), Bytes(1280));
  wire::VirtioNetHeader offload{.gso_type = wire::VirtioNetHeader::kGsoUdpL4, .gso_size = 10};
  feed(bytes, offload);
  EXPECT_EQ(drops(DropReason::kMalformed), 0U);
  offload.gso_size = 9;
  feed(bytes, offload);
  EXPECT_EQ(drops(DropReason::kMalformed), 1U);
}

TEST_F(EngineTest, DenyListHoldsForAllProtocols) {
  const std::vector<policy::Rule> deny{policy::parse_rule("203.0.113.0/24").value()};
  restart({.policy = policy::Policy(deny, {})});
  feed(syn({.remote = endpoint("203.0.113.9:443")}));
  EXPECT_TRUE(take_frame().tcp().flags().rst());
  feed(udp_frame(network(), kGuest, endpoint("203.0.113.9:443"), {1}));
  EXPECT_EQ(take_frame().icmp().type(), wire::IcmpType::kDestinationUnreachable);
  feed(syn({.remote = endpoint("203.0.114.9:443")}));
  EXPECT_EQ(take<ConnectTcp>().target, endpoint("203.0.114.9:443"));
}

}  // namespace
}  // namespace sluice::flow::test
