#include "flow/core/target_map.h"

#include <gtest/gtest.h>

namespace sluice::flow {
namespace {

Target at(const TargetMap& map, std::string_view address) {
  return map.target_of({*wire::parse_ip(address), wire::Port{80}});
}

TEST(TargetMap, TheGatewayLeadsToTheLoopbackWhereThatIsWithinReach) {
  const GuestNetwork network;
  const TargetMap open(network, true);
  EXPECT_EQ(at(open, "10.0.2.2").endpoint.address, *wire::parse_ip("127.0.0.1"));
  EXPECT_EQ(at(open, "fd00::2").endpoint.address, *wire::parse_ip("::1"));
  const TargetMap closed(network, false);
  EXPECT_EQ(at(closed, "10.0.2.2").kind, TargetKind::kRefused);
  EXPECT_EQ(at(closed, "fd00::2").kind, TargetKind::kRefused);
}

// An address of one family that stands for the loopback opens nothing in the other.
TEST(TargetMap, TheGatewayLeadsNowhereWhereAnotherAddressWasChosenInItsPlace) {
  GuestNetwork network;
  network.loopback_v4 = *wire::parse_ip("169.254.1.2");
  network.gateway_leads_to_loopback = false;
  const TargetMap map(network, true);
  EXPECT_EQ(at(map, "169.254.1.2").endpoint.address, *wire::parse_ip("127.0.0.1"));
  EXPECT_EQ(at(map, "10.0.2.2").kind, TargetKind::kRefused);
  EXPECT_EQ(at(map, "fd00::2").kind, TargetKind::kRefused);
  network.loopback_v6 = network.gateway_v6;
  EXPECT_EQ(at(map, "fd00::2").endpoint.address, *wire::parse_ip("::1"));
}

}  // namespace
}  // namespace sluice::flow
