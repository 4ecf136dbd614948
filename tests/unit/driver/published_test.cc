#include "driver/published.h"

#include <gtest/gtest.h>

#include "unit/sys/fake_kernel.h"

namespace sluice::driver {
namespace {

class PublishedPortsTest : public testing::Test {
 protected:
  [[nodiscard]] std::expected<PublishedPorts, std::string> open(const char* text) {
    return PublishedPorts::open(kernel, {policy::parse_port_map(text).value()}, {});
  }
  sys::FakeKernel kernel;
};

TEST_F(PublishedPortsTest, EverywhereMeansBothFamilies) {
  const auto ports = open("8080:80");
  ASSERT_TRUE(ports.has_value());
  ASSERT_EQ(ports->tcp.size(), 2U);
  EXPECT_EQ(wire::to_string(ports->tcp[0].guest), "10.0.2.15:80");
  EXPECT_EQ(wire::to_string(ports->tcp[1].guest), "[fd00::15]:80");
}

TEST_F(PublishedPortsTest, ARangeOpensEachOfItsPorts) {
  const auto ports = open("127.0.0.1:8000-8004:90-94/udp");
  ASSERT_TRUE(ports.has_value());
  ASSERT_EQ(ports->udp.size(), 5U);
  EXPECT_EQ(wire::to_string(ports->udp[4].guest), "10.0.2.15:94");
}

TEST_F(PublishedPortsTest, AHostWithoutIpv6StillPublishesEverywhere) {
  kernel.script("socket", 1000);
  kernel.script("socket", -1, EAFNOSUPPORT);
  const auto ports = open("8080:80");
  ASSERT_TRUE(ports.has_value());
  EXPECT_EQ(ports->tcp.size(), 1U);
}

TEST_F(PublishedPortsTest, AnAddressThatWasNamedMustWork) {
  kernel.script("socket", -1, EAFNOSUPPORT);
  EXPECT_FALSE(open("[::1]:8080:80").has_value());
}

TEST_F(PublishedPortsTest, APortInUseIsToldWithTheOption) {
  kernel.script("bind", -1, EADDRINUSE);
  const auto ports = open("8080:80");
  ASSERT_FALSE(ports.has_value());
  EXPECT_EQ(ports.error(),
            "--publish 8080:80: cannot listen on 0.0.0.0:8080: Address already in use; another "
            "program has this port: choose a different one");
}

}  // namespace
}  // namespace sluice::driver
