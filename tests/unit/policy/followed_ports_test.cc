#include "policy/followed_ports.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

FollowedPorts tcp(std::vector<PortRange> except) {
  FollowedPorts ports;
  ports.except = std::move(except);
  return ports;
}

TEST(FollowedPorts, AllOfAProtocolButThoseThatAreLeftOut) {
  const FollowedPorts ports = tcp({{22, 22}, {6000, 6010}});
  EXPECT_TRUE(ports.follows(Protocol::kTcp, wire::Port{21}));
  EXPECT_FALSE(ports.follows(Protocol::kTcp, wire::Port{22}));
  EXPECT_FALSE(ports.follows(Protocol::kTcp, wire::Port{6000}));
  EXPECT_FALSE(ports.follows(Protocol::kTcp, wire::Port{6010}));
  EXPECT_TRUE(ports.follows(Protocol::kTcp, wire::Port{6011}));
  EXPECT_FALSE(ports.follows(Protocol::kUdp, wire::Port{21}));
}

TEST(FollowedPorts, OneOfSeveralSuffices) {
  const std::vector all{tcp({{22, 80}}), tcp({{80, 90}})};
  EXPECT_TRUE(follows(all, Protocol::kTcp, wire::Port{22}));
  EXPECT_TRUE(follows(all, Protocol::kTcp, wire::Port{90}));
  EXPECT_FALSE(follows(all, Protocol::kTcp, wire::Port{80}));
  EXPECT_TRUE(follows(all, Protocol::kTcp));
  EXPECT_FALSE(follows(all, Protocol::kUdp));
  EXPECT_FALSE(follows({}, Protocol::kTcp));
}

}  // namespace
}  // namespace sluice::policy
