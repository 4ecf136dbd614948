#include "host/outbound.h"

#include <gtest/gtest.h>

#include "unit/sys/loopback.h"

namespace sluice::host {
namespace {

TEST(Outbound, LeadsWhatLeavesThisMachine) {
  Outbound outbound;
  EXPECT_EQ(outbound.way_to(sys::ip("203.0.113.1")), nullptr);
  outbound.v4.address = sys::ip("192.0.2.1");
  outbound.v6.device = "eth1";
  ASSERT_NE(outbound.way_to(sys::ip("203.0.113.1")), nullptr);
  EXPECT_EQ(outbound.way_to(sys::ip("203.0.113.1"))->address, sys::ip("192.0.2.1"));
  ASSERT_NE(outbound.way_to(sys::ip("2001:db8::1")), nullptr);
  EXPECT_EQ(outbound.way_to(sys::ip("2001:db8::1"))->device, "eth1");
  EXPECT_EQ(outbound.way_to(sys::ip("127.0.0.1")), nullptr);
  EXPECT_EQ(outbound.way_to(sys::ip("::1")), nullptr);
}

}  // namespace
}  // namespace sluice::host
