// Published ports of UDP that are withdrawn while the guest runs.
#include <gtest/gtest.h>

#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

class UdpWithdraw : public EngineFixture {
 protected:
  void ask(UdpId port, const wire::Endpoint& client) {
    clear();
    const auto payload = stream(0, 12);  // Frames borrow it until they are collected.
    engine().udp().on_received(port, client, std::nullopt, payload, 0, {now, sink});
    collect();
  }
  void withdraw(UdpId port) {
    clear();
    engine().udp().withdraw(port, {now, sink});
    collect();
  }

  const wire::Endpoint service_{network().guest_v4, wire::Port{53}};
  const wire::Endpoint client_ = endpoint("198.51.100.9:5000");
};

TEST_F(UdpWithdraw, WithoutClientsItIsClosedAtOnce) {
  const UdpId port = engine().udp().publish(service_);
  withdraw(port);
  EXPECT_EQ(take<CloseUdp>().socket, port);
  EXPECT_EQ(engine().udp().socket_count(), 0u);
  withdraw(port);
  EXPECT_TRUE(actions.empty());
}

TEST_F(UdpWithdraw, WhoHasCalledGoesOnAndNobodyElse) {
  const UdpId port = engine().udp().publish(service_);
  ask(port, client_);
  EXPECT_EQ(frames.size(), 1u);
  withdraw(port);
  EXPECT_TRUE(actions.empty());
  ask(port, client_);
  EXPECT_EQ(frames.size(), 1u);
  ask(port, endpoint("198.51.100.10:5000"));
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(drops(DropReason::kUdpUnasked), 1u);
  clear();
  pass(std::chrono::minutes(10));
  EXPECT_EQ(take<CloseUdp>().socket, port);
  EXPECT_EQ(engine().udp().socket_count(), 0u);
}

TEST_F(UdpWithdraw, AnotherThatLeadsToTheSamePortStays) {
  const UdpId one = engine().udp().publish(service_);
  const UdpId other = engine().udp().publish(service_);
  withdraw(one);
  EXPECT_EQ(take<CloseUdp>().socket, one);
  ask(other, client_);
  EXPECT_EQ(frames.size(), 1u);
  withdraw(other);
  // From there on the guest's endpoint is one as any other.
  pass(std::chrono::minutes(10));
  clear();
  feed(udp_frame(network(), service_, kServer, {'x'}));
  EXPECT_EQ(all<OpenUdp>().size(), 1u);
}

}  // namespace
}  // namespace sluice::flow::test
