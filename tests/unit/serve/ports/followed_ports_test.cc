#include "serve/ports/followed_ports.h"

#include <gtest/gtest.h>

namespace sluice::serve {
namespace {

using policy::Protocol;

FollowedPorts tcp(std::vector<policy::PortRange> except) {
  FollowedPorts ports;
  ports.except = std::move(except);
  return ports;
}

TEST(FollowedPorts, AllOfAProtocolButThoseThatAreLeftOut) {
  const FollowedPorts ports = tcp({{22, 22}, {6000, 6010}});
  EXPECT_TRUE(ports.covers(Protocol::kTcp, wire::Port{21}));
  EXPECT_FALSE(ports.covers(Protocol::kTcp, wire::Port{22}));
  EXPECT_FALSE(ports.covers(Protocol::kTcp, wire::Port{6000}));
  EXPECT_FALSE(ports.covers(Protocol::kTcp, wire::Port{6010}));
  EXPECT_TRUE(ports.covers(Protocol::kTcp, wire::Port{6011}));
  EXPECT_FALSE(ports.covers(Protocol::kUdp, wire::Port{21}));
}

TEST(FollowedPorts, OneOfSeveralSuffices) {
  const std::vector all{tcp({{22, 80}}), tcp({{80, 90}})};
  EXPECT_TRUE(covers(all, Protocol::kTcp, wire::Port{22}));
  EXPECT_TRUE(covers(all, Protocol::kTcp, wire::Port{90}));
  EXPECT_FALSE(covers(all, Protocol::kTcp, wire::Port{80}));
  EXPECT_TRUE(covers(all, Protocol::kTcp));
  EXPECT_FALSE(covers(all, Protocol::kUdp));
  EXPECT_FALSE(covers({}, Protocol::kTcp));
}

}  // namespace
}  // namespace sluice::serve
