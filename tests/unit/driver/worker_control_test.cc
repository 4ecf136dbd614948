// What people see of a worker and change of it, over a kernel that answers as scripted.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>

#include "agent/agent_wire.h"
#include "unit/driver/worker_rig.h"

namespace sluice::driver {
namespace {

class WorkerControl : public ::testing::Test, protected WorkerRig {
 protected:
  void send_datagram() {
    feed({flow::test::udp_frame(network, flow::test::endpoint("10.0.2.15:4000"),
                                flow::test::endpoint("198.51.100.7:53"), {'x'})});
  }
  [[nodiscard]] std::vector<flow::FlowSummary> list() const {
    std::vector<flow::FlowSummary> flows;
    EXPECT_EQ(worker->list_flows(0, 100, flows), std::nullopt);
    return flows;
  }
};

TEST_F(WorkerControl, AFlowThatPolicyRefusesLosesItsSocketAtOnce) {
  send_datagram();
  ASSERT_EQ(list().size(), 1u);
  const int socket = newest_socket();
  policy::EgressDraft draft;
  draft.rules.push_back({policy::parse_egress_target("198.51.100.0/24").value(),
                         {.id = "test", .effect = policy::Effect::kDeny}});
  const auto policy = policy::EgressPolicy::compile(std::move(draft));
  ASSERT_TRUE(policy.has_value());
  worker->set_policy(*policy, 2);
  EXPECT_EQ(std::ranges::count(kernel.closed, socket), 1);
  EXPECT_TRUE(list().empty());
  EXPECT_EQ(drops(flow::DropReason::kRevoked), 1u);
}

TEST_F(WorkerControl, PortsOfTheLoopbackAreWaitedForUntilEachIsAnswered) {
  auto [ours, theirs] = agent::GuestAgent::pair().value();
  policy::PortMap map;
  map.guest_first = map.host_first = wire::Port{5000};
  WorkerOptions options;
  options.agent = std::move(ours);
  options.loopback = {map, map, map};
  options.loopback[1].guest_first = wire::Port{5001};  // And the third is the first again.
  start(std::move(options));
  const auto orders = agent::receive_orders(theirs.get(), Duration::zero());
  ASSERT_TRUE(orders.has_value());
  ASSERT_EQ(orders->size(), 4U);
  for (const agent::AgentOrder& order : *orders) {
    const std::uint64_t tag = std::get<agent::SocketOrder>(order).tag;
    ASSERT_TRUE(agent::send_sockets(theirs.get(), tag, EADDRINUSE, {}));
  }
  worker->await_loopback();
  // One who has gone answers nothing more.
  auto [again, gone] = agent::GuestAgent::pair().value();
  WorkerOptions others;
  others.agent = std::move(again);
  others.loopback = {map};
  start(std::move(others));
  gone.reset();
  worker->await_loopback();
}

TEST_F(WorkerControl, AFlowIsToldAndEndedByItsNumber) {
  send_datagram();
  const auto flows = list();
  ASSERT_EQ(flows.size(), 1u);
  const telemetry::FlowRecord record = worker->record_of(flows.front());
  EXPECT_EQ(record.number, flow::flow_number(flows.front().key, flows.front().opened));
  EXPECT_EQ(record.bytes_to_host, 1u);
  EXPECT_EQ(record.generation, 1u);
  EXPECT_TRUE(worker->cut_off(record.number, policy::Verdict::kKilled));
  EXPECT_FALSE(worker->cut_off(record.number, policy::Verdict::kKilled));
  EXPECT_EQ(drops(flow::DropReason::kKilled), 1u);
}

TEST_F(WorkerControl, WithoutAnAgentWhatIsToLeadOutWaits) {
  policy::PortMap map;
  map.host_first = map.guest_first = wire::Port{80};
  worker->lead_out({map});
  EXPECT_TRUE(worker->leads_out(policy::Protocol::kTcp, wire::Port{80}));
  EXPECT_FALSE(worker->leads_out(policy::Protocol::kUdp, wire::Port{80}));
  worker->lead_out({});
  EXPECT_FALSE(worker->leads_out(policy::Protocol::kTcp, wire::Port{80}));
}

}  // namespace
}  // namespace sluice::driver
