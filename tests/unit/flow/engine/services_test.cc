// Networks that give their guest less, and addresses that stand for the host.
#include <gtest/gtest.h>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class ServicesTest : public TcpFixture {
 protected:
  void restart_with(const GuestNetwork& network, bool host_loopback = false) {
    restart({.network = network, .host_loopback = host_loopback});
  }
  [[nodiscard]] bool is_silent() const { return frames.empty() && actions.empty(); }

  GuestNetwork wanted;
};

TEST_F(ServicesTest, WhatIsOffIsDroppedWithoutAnAnswer) {
  wanted.services = {.tcp = false, .udp = false, .echo = false};
  restart_with(wanted);
  feed(syn({.remote = endpoint("203.0.113.9:443")}));
  feed(udp_frame(network(), kGuest, endpoint("203.0.113.9:443"), {1}));
  feed(ping_frame(network(), ip("203.0.113.9"), 7, 1, {1, 2, 3}));
  feed(ping_frame(network(), network().gateway_v4, 7, 2, {1, 2, 3}));
  EXPECT_TRUE(is_silent());
  EXPECT_EQ(drops(DropReason::kProtocolDisabled), 4U);
}

TEST_F(ServicesTest, TheNetworksOwnServicesDoNotNeedUdp) {
  wanted.services.udp = false;
  restart_with(wanted);
  feed(udp_frame(network(), kGuest, {network().dns_v4, wire::Port{53}}, {1}));
  EXPECT_EQ(drops(DropReason::kProtocolDisabled), 0U);
}

TEST_F(ServicesTest, AnAddressOfItsOwnStandsForLoopback) {
  wanted.loopback_v4 = ip("10.0.2.77");
  restart_with(wanted, true);
  feed(syn({.remote = endpoint("10.0.2.77:80")}));
  EXPECT_EQ(take<ConnectTcp>().target, endpoint("127.0.0.1:80"));
  feed(syn({.remote = {network().gateway_v4, wire::Port{80}}}));
  EXPECT_TRUE(take_frame().tcp().flags().rst()) << "the gateway does not any more";

  clear();
  feed(udp_frame(network(), kGuest, endpoint("10.0.2.77:53"), {1}));
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].action.target, endpoint("127.0.0.1:53"));
  const Bytes answer{2, 3};
  engine().udp().on_received(datagrams[0].action.socket, endpoint("127.0.0.1:53"), std::nullopt,
                             answer, 0, {now, sink});
  collect();
  EXPECT_EQ(take_frame().packet().source, ip("10.0.2.77"));
}

TEST_F(ServicesTest, AnotherAddressIsNotLoopbackUnlessThatIsWithinReach) {
  wanted.loopback_v4 = ip("10.0.2.77");
  restart_with(wanted);
  feed(syn({.remote = endpoint("10.0.2.77:80")}));
  EXPECT_TRUE(all<ConnectTcp>().empty());
}

TEST_F(ServicesTest, AClientOfTheHostsLoopbackComesFromThatAddress) {
  wanted.loopback_v4 = ip("10.0.2.77");
  restart_with(wanted, true);
  const auto id = tcp().on_inbound(endpoint("127.0.0.1:4000"), {network().guest_v4, wire::Port{80}},
                                   65'536, {now, sink});
  ASSERT_TRUE(id.has_value());
  collect();
  EXPECT_EQ(take_frame().packet().source, ip("10.0.2.77"));
}

TEST_F(ServicesTest, AnAliasLeadsToItsTargetAndBack) {
  wanted.aliases = {{ip("10.9.9.9"), ip("192.0.2.4")}};
  restart({.network = wanted, .host_addresses = policy::HostAddresses::kOpen});
  feed(syn({.remote = endpoint("10.9.9.9:80")}));
  EXPECT_EQ(take<ConnectTcp>().target, endpoint("192.0.2.4:80"));
  clear();
  feed(udp_frame(network(), kGuest, endpoint("10.9.9.9:53"), {1}));
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].action.target, endpoint("192.0.2.4:53"));
  const Bytes answer{2, 3};
  engine().udp().on_received(datagrams[0].action.socket, endpoint("192.0.2.4:53"), std::nullopt,
                             answer, 0, {now, sink});
  collect();
  EXPECT_EQ(take_frame().packet().source, ip("10.9.9.9"));
  clear();
  feed(ping_frame(network(), ip("10.9.9.9"), 7, 1, {1, 2, 3}));
  EXPECT_EQ(take_frame().packet().source, ip("10.9.9.9")) << "the host answers pings itself";
}

TEST_F(ServicesTest, ADamagedPacketTeachesNoAddressOfTheGuests) {
  Bytes damaged = udp_frame(network(), {ip("10.0.2.99"), wire::Port{4000}},
                            endpoint("203.0.113.9:53"), {1, 2, 3});
  damaged.back() ^= 0xff;
  feed(std::move(damaged));
  EXPECT_EQ(drops(DropReason::kBadChecksum), 1U);
  ASSERT_TRUE(tcp().on_inbound(endpoint("198.51.100.1:4000"), {network().guest_v4, wire::Port{80}},
                               65'536, {now, sink}));
  collect();
  EXPECT_EQ(take_frame().packet().destination, network().guest_v4);
}

}  // namespace
}  // namespace sluice::flow::test
