// What a worker has counted over its life.
#include <gtest/gtest.h>

#include "unit/driver/worker_rig.h"

namespace sluice::driver {
namespace {

using policy::Protocol;
using policy::Verdict;

class WorkerTotals : public testing::Test {
 protected:
  void send_datagram(std::uint16_t port) {
    rig_.feed({flow::test::udp_frame(rig_.network, {rig_.network.guest_v4, wire::Port{port}},
                                     flow::test::endpoint("198.51.100.7:53"), {'x', 'y'})});
  }

  WorkerRig rig_;
};

TEST_F(WorkerTotals, BytesAreCountedOnceWhetherAFlowLivesOrHasEnded) {
  // More than a page of the walk.
  for (std::uint16_t port = 0; port < 600; ++port) {
    send_datagram(static_cast<std::uint16_t>(2000 + port));
  }
  const telemetry::Totals living = rig_.worker->totals();
  EXPECT_EQ(living.open[static_cast<std::size_t>(Protocol::kUdp)][0], 600u);
  EXPECT_EQ(living.bytes.to_host, 1200u);
  EXPECT_EQ(living.ended.of(Protocol::kUdp, Verdict::kAccepted), 0u);
  (void)rig_.worker->finish();
  const telemetry::Totals over = rig_.worker->totals();
  EXPECT_EQ(over.open[static_cast<std::size_t>(Protocol::kUdp)][0], 0u);
  EXPECT_EQ(over.bytes.to_host, 1200u);
  EXPECT_EQ(over.ended.of(Protocol::kUdp, Verdict::kAccepted), 600u);
}

TEST_F(WorkerTotals, WhatCouldBeCountedHasALineEach) {
  const telemetry::Totals totals = rig_.worker->totals();
  EXPECT_EQ(totals.dns.size(), dns::kDnsResultCount);
  EXPECT_EQ(totals.gate.size(), 2 * flow::GateCounters::kKinds);
  EXPECT_EQ(totals.gate.front().kind, "tls");
}

}  // namespace
}  // namespace sluice::driver
