#include "serve/control/live_ports.h"

#include <gtest/gtest.h>

#include "unit/driver/worker_rig.h"
#include "unit/sys/loopback.h"

namespace sluice::serve {
namespace {

class LivePortsTest : public testing::Test {
 protected:
  static policy::PortMap map(const char* text) { return *policy::parse_port_map(text); }
  // What it is refused for; empty: it is not.
  std::string publish(const policy::PortMap& map) {
    const auto done = ports_.publish(map);
    return done ? "" : std::string(done.error().error);
  }

  driver::WorkerRig rig_;
  driver::WorkerGroup workers_{*rig_.worker};
  LivePorts ports_{workers_, rig_.network, {*policy::parse_port_map("9:9")}};
};

TEST_F(LivePortsTest, ThoseOfTheStartAreThere) {
  EXPECT_TRUE(ports_.has(map("9:9")));
  EXPECT_EQ(publish(map("127.0.0.1:9:10")), "port-taken");
  EXPECT_TRUE(ports_.unpublish(map("9:9")));
  EXPECT_FALSE(ports_.unpublish(map("9:9")));
  EXPECT_TRUE(ports_.all().empty());
}

TEST_F(LivePortsTest, OneIsListenedOnUntilItIsTakenAway) {
  policy::PortMap one = map("127.0.0.1:41739:80");
  ASSERT_EQ(publish(one), "");
  EXPECT_TRUE(ports_.has(one));
  EXPECT_EQ(publish(one), "port-taken");
  // It is the same port of the host, whichever of the guest's addresses it leads to.
  one.guest_address = wire::IpAddress::v4(0x0a00'0265);
  EXPECT_FALSE(ports_.has(one));
  EXPECT_EQ(publish(one), "port-taken");
  EXPECT_TRUE(ports_.unpublish(map("127.0.0.1:41739:80")));
  EXPECT_EQ(publish(one), "") << "its port is free again";
  EXPECT_TRUE(ports_.unpublish(one));
}

TEST_F(LivePortsTest, WhereItWaitsIsToldOfItsProtocolAndItsAddress) {
  const LivePorts ports(workers_, rig_.network,
                        {map("80-82:8080-8082"), map("127.0.0.1:53:53/udp")});
  const auto at = [](const char* address, std::uint16_t port) {
    return wire::Endpoint{wire::parse_ip(address).value(), wire::Port{port}};
  };
  EXPECT_TRUE(ports.waits_at(policy::Protocol::kTcp, at("0.0.0.0", 82)));
  EXPECT_TRUE(ports.waits_at(policy::Protocol::kTcp, at("::", 80)));
  EXPECT_FALSE(ports.waits_at(policy::Protocol::kTcp, at("0.0.0.0", 83)));
  EXPECT_FALSE(ports.waits_at(policy::Protocol::kUdp, at("0.0.0.0", 80)));
  EXPECT_TRUE(ports.waits_at(policy::Protocol::kUdp, at("127.0.0.1", 53)));
  EXPECT_FALSE(ports.waits_at(policy::Protocol::kUdp, at("::1", 53))) << "somebody else's";
}

TEST_F(LivePortsTest, APortThatIsPickedHasItsNumberFromThenOn) {
  const auto first = ports_.publish(map("127.0.0.1:0:80"));
  const auto second = ports_.publish(map("127.0.0.1:0:80"));
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_NE(first->host_first.value, 0);
  EXPECT_NE(first->host_first, second->host_first);
  EXPECT_FALSE(ports_.unpublish(map("127.0.0.1:0:80")));
  EXPECT_TRUE(ports_.unpublish(*first));
  EXPECT_TRUE(ports_.unpublish(*second));
}

TEST_F(LivePortsTest, WhatCannotBeListenedOnIsRefused) {
  EXPECT_EQ(publish(map("192.0.2.7:41740:80")), "cannot-listen");
  EXPECT_EQ(publish(map("20000-20256:80-336")), "bad-port");
  EXPECT_EQ(ports_.all().size(), 1u);
}

}  // namespace
}  // namespace sluice::serve
