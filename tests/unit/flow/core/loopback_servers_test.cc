#include "flow/core/loopback_servers.h"

#include <gtest/gtest.h>

namespace sluice::flow {
namespace {

using namespace std::chrono_literals;

wire::Endpoint at(std::size_t port) {
  return {wire::IpAddress::loopback(wire::IpFamily::kV4),
          wire::Port{static_cast<std::uint16_t>(port)}};
}

TEST(LoopbackServersTest, OneThatWasFoundIsBelievedForAMoment) {
  LoopbackServers servers;
  const Instant now{1000s};
  servers.found(at(80), now);
  EXPECT_TRUE(servers.waits(at(80), now + LoopbackServers::kBelievedFor - 1ns));
  EXPECT_FALSE(servers.waits(at(80), now + LoopbackServers::kBelievedFor));
  EXPECT_FALSE(servers.waits(at(81), now));
  servers.lost(at(80));
  EXPECT_FALSE(servers.waits(at(80), now));
}

TEST(LoopbackServersTest, TheOldestMakesRoom) {
  LoopbackServers servers;
  const Instant now{1000s};
  for (std::size_t port = 1; port <= LoopbackServers::kMax + 1; ++port)
    servers.found(at(port), now);
  EXPECT_FALSE(servers.waits(at(1), now));
  EXPECT_TRUE(servers.waits(at(2), now));
  EXPECT_TRUE(servers.waits(at(LoopbackServers::kMax + 1), now));
}

}  // namespace
}  // namespace sluice::flow
