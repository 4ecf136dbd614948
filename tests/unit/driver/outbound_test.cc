// A worker whose flows leave the host by an address and an interface that somebody chose.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>

#include "unit/driver/worker_rig.h"

namespace sluice::driver {
namespace {

using flow::test::ip;

class OutboundTest : public ::testing::Test, protected WorkerRig {
 protected:
  OutboundTest() {
    WorkerOptions options;
    options.engine.host_loopback = true;
    options.outbound = {.v4 = {.address = ip("192.0.2.1"), .device = "eth1"}, .v6 = {}};
    start(std::move(options));
    kernel.calls.clear();
  }
  // Of the calls so far.
  [[nodiscard]] std::ptrdiff_t bound_to_device() const {
    return std::ranges::count_if(kernel.calls, [](const sys::FakeKernel::Call& call) {
      return call.name == "setsockopt" && call.first == SOL_SOCKET &&
             call.second == SO_BINDTODEVICE;
    });
  }
  void syn(const char* address) {
    feed({flow::test::tcp_frame(network, {.guest = {network.guest_v4, wire::Port{4000}},
                                          .remote = {ip(address), wire::Port{80}},
                                          .sequence = wire::SeqNum{1},
                                          .flags = wire::kSyn,
                                          .window = 0xffff})});
  }
};

TEST_F(OutboundTest, AConnectionIsBoundBeforeItIsMade) {
  syn("203.0.113.1");
  EXPECT_EQ(bound_to_device(), 1);
  ASSERT_EQ(kernel.count("bind"), 1U);
  const auto place = [&](const char* name) {
    return std::ranges::find(kernel.calls, name, &sys::FakeKernel::Call::name);
  };
  EXPECT_LT(place("bind"), place("connect"));
}

TEST_F(OutboundTest, WhatStaysOnThisMachineGoesAsEver) {
  feed({flow::test::tcp_frame(network, {.guest = {network.guest_v4, wire::Port{4000}},
                                        .remote = {network.gateway_v4, wire::Port{80}},
                                        .sequence = wire::SeqNum{1},
                                        .flags = wire::kSyn,
                                        .window = 0xffff})});
  EXPECT_EQ(kernel.count("connect"), 1U);
  EXPECT_EQ(kernel.count("bind"), 0U);
  EXPECT_EQ(bound_to_device(), 0);
}

TEST_F(OutboundTest, AnAddressThatIsGoneFailsThatConnection) {
  kernel.script("bind", -1, EADDRNOTAVAIL);
  syn("203.0.113.1");
  EXPECT_EQ(kernel.count("connect"), 0U);
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_TRUE(frame(0).tcp().flags().rst());
}

TEST_F(OutboundTest, DatagramsAndPingsToo) {
  feed({flow::test::udp_frame(network, {network.guest_v4, wire::Port{4000}},
                              {ip("203.0.113.1"), wire::Port{53}}, {1})});
  EXPECT_EQ(bound_to_device(), 1);
  EXPECT_EQ(kernel.count("bind"), 1U);
  feed({flow::test::ping_frame(network, ip("203.0.113.1"), 7, 1, {1})});
  EXPECT_EQ(bound_to_device(), 2);
  EXPECT_EQ(kernel.count("bind"), 2U);
}

}  // namespace
}  // namespace sluice::driver
