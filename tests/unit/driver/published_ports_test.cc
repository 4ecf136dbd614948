#include "driver/published_ports.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "unit/sys/fake_kernel.h"

namespace sluice::driver {
namespace {

class PublishedPortsTest : public testing::Test {
 protected:
  [[nodiscard]] std::expected<OpenedPorts, std::string> open(const char* text) {
    return open_ports(kernel, {policy::parse_port_map(text).value()}, {});
  }
  sys::FakeKernel kernel;
};

TEST_F(PublishedPortsTest, EverywhereMeansBothFamilies) {
  const auto ports = open("8080:80");
  ASSERT_TRUE(ports.has_value());
  ASSERT_EQ(ports->ports.tcp.size(), 2U);
  EXPECT_EQ(wire::to_string(ports->ports.tcp[0].guest), "10.0.2.15:80");
  EXPECT_EQ(wire::to_string(ports->ports.tcp[1].guest), "[fd00::15]:80");
}

TEST_F(PublishedPortsTest, ARangeOpensEachOfItsPorts) {
  const auto ports = open("127.0.0.1:8000-8004:90-94/udp");
  ASSERT_TRUE(ports.has_value());
  ASSERT_EQ(ports->ports.udp.size(), 5U);
  EXPECT_EQ(wire::to_string(ports->ports.udp[4].guest), "10.0.2.15:94");
}

TEST_F(PublishedPortsTest, AHostWithoutIpv6StillPublishesEverywhere) {
  kernel.script("socket", 1000);
  kernel.script("socket", -1, EAFNOSUPPORT);
  const auto ports = open("8080:80");
  ASSERT_TRUE(ports.has_value());
  EXPECT_EQ(ports->ports.tcp.size(), 1U);
}

TEST_F(PublishedPortsTest, AnAddressThatWasNamedMustWork) {
  kernel.script("socket", -1, EAFNOSUPPORT);
  EXPECT_FALSE(open("[::1]:8080:80").has_value());
}

TEST_F(PublishedPortsTest, APortInUseIsToldByItsMap) {
  kernel.script("bind", -1, EADDRINUSE);
  const auto ports = open("8080:80");
  ASSERT_FALSE(ports.has_value());
  EXPECT_EQ(ports.error(),
            "8080:80: cannot listen on 0.0.0.0:8080: Address already in use; another "
            "program has this port: choose a different one");
}

TEST_F(PublishedPortsTest, WhatIsOnlyWantedIfFreeIsLeftOut) {
  auto map = policy::parse_port_map("127.0.0.1:8080-8082:80-82").value();
  map.if_taken = policy::IfTaken::kLeaveOut;
  kernel.script("bind", -1, EADDRINUSE);
  kernel.script("bind", 0);
  kernel.script("bind", -1, EACCES);
  const auto ports = open_ports(kernel, {map}, {});
  ASSERT_TRUE(ports.has_value()) << ports.error();
  ASSERT_EQ(ports->ports.tcp.size(), 1U);
  EXPECT_EQ(wire::to_string(ports->ports.tcp[0].guest), "10.0.2.15:81");

  kernel.script("bind", -1, EADDRNOTAVAIL);
  EXPECT_FALSE(open_ports(kernel, {map}, {}).has_value()) << "that is a mistake";
}

TEST_F(PublishedPortsTest, WhatIsLeftOutWithAWordIsTold) {
  auto map = policy::parse_port_map("127.0.0.1:8000-8029:80-109").value();
  map.if_taken = policy::IfTaken::kTell;
  kernel.script("bind", -1, EADDRNOTAVAIL);
  for (int i = 0; i < 20; ++i) kernel.script("bind", -1, EADDRINUSE);
  const auto opened = open_ports(kernel, {map}, {});
  ASSERT_TRUE(opened.has_value()) << opened.error();
  EXPECT_EQ(opened->ports.tcp.size(), 9U);
  EXPECT_EQ(opened->left_out.count, 21U);
  ASSERT_EQ(opened->left_out.told.size(), LeftOut::kToldMax);
  EXPECT_EQ(opened->left_out.told[0],
            "127.0.0.1:8000-8029:80-109: cannot listen on 127.0.0.1:8000: Cannot assign requested "
            "address; the host has no such address");

  kernel.script("bind", -1, EPERM);
  EXPECT_FALSE(open_ports(kernel, {map}, {}).has_value());
}

TEST_F(PublishedPortsTest, APortIsPickedForAllOfItsAddresses) {
  for (const char* const text : {"0:80", "0:53/udp"}) {
    const auto opened = open_ports(sys::real_kernel(), {policy::parse_port_map(text).value()}, {});
    ASSERT_TRUE(opened.has_value()) << opened.error();
    const wire::Port port = opened->maps.front().host_first;
    EXPECT_NE(port.value, 0);
    for (const auto& one : opened->ports.tcp) {
      EXPECT_EQ(one.listener.local_endpoint()->port, port);
      EXPECT_EQ(one.map, policy::to_string(opened->maps.front()));
    }
    for (const auto& one : opened->ports.udp) {
      EXPECT_EQ(one.socket.local_endpoint()->port, port);
    }
    EXPECT_GE(opened->ports.tcp.size() + opened->ports.udp.size(), 1U);
  }
}

TEST_F(PublishedPortsTest, WhoHasAPortIsNamed) {
  const auto theirs =
      open_ports(sys::real_kernel(), {policy::parse_port_map("127.0.0.1:0:80").value()}, {});
  ASSERT_TRUE(theirs.has_value());
  const auto refused = open_ports(sys::real_kernel(), theirs->maps, {}, NameHolders::kYes);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().find(fmt::format("(process {}) has this port", ::getpid())),
            std::string::npos)
      << refused.error();
}

TEST_F(PublishedPortsTest, WithoutADescriptorItIsSaidHowToMendIt) {
  kernel.script("socket", -1, EMFILE);
  const auto ports = open("8080:80");
  ASSERT_FALSE(ports.has_value());
  EXPECT_NE(ports.error().find("ulimit -n"), std::string::npos) << ports.error();
}

TEST_F(PublishedPortsTest, AddressesToComeNeedNotBeTheHosts) {
  for (const char* const text : {"192.0.2.77:48080:80", "192.0.2.77:45353:53/udp"}) {
    auto map = policy::parse_port_map(text).value();
    EXPECT_FALSE(open_ports(sys::real_kernel(), {map}, {}).has_value()) << text;
    map.freebind = true;
    EXPECT_TRUE(open_ports(sys::real_kernel(), {map}, {}).has_value()) << text;
  }
}

TEST_F(PublishedPortsTest, AnInterfaceBindsBothKindsToIt) {
  for (const char* const text : {"8080:80", "5353:53/udp"}) {
    auto map = policy::parse_port_map(text).value();
    map.interface = "eth0";
    kernel.calls.clear();
    ASSERT_TRUE(open_ports(kernel, {map}, {}).has_value());
    EXPECT_EQ(std::ranges::count_if(kernel.calls,
                                    [](const sys::FakeKernel::Call& call) {
                                      return call.name == "setsockopt" &&
                                             call.first == SOL_SOCKET &&
                                             call.second == SO_BINDTODEVICE;
                                    }),
              2)
        << text;
  }
}

}  // namespace
}  // namespace sluice::driver
