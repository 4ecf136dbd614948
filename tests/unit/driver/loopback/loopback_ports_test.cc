#include "driver/loopback/loopback_ports.h"

#include <gtest/gtest.h>

#include <array>

#include "agent/agent_wire.h"
#include "host/listener.h"

namespace sluice::driver {
namespace {

class LoopbackPortsTest : public testing::Test {
 protected:
  LoopbackPortsTest() : loop_(std::move(sys::EventLoop::create(kernel_).value())) {
    auto [ours, theirs] = agent::GuestAgent::pair().value();
    agent_ = std::move(ours);
    far_ = std::move(theirs);
  }
  void add(std::uint16_t count) {
    policy::PortMap map;
    map.host_first = wire::Port{6000};
    map.guest_first = wire::Port{5000};
    map.count = count;
    ports_.add(std::array{map});
    ASSERT_TRUE(ports_.order(agent_, kFirst));
  }
  UniqueFd listening() {
    auto made = host::TcpListener::open(
        kernel_, {wire::IpAddress::loopback(wire::IpFamily::kV4), wire::Port{0}});
    return UniqueFd(::dup(made->fd()));
  }
  static EventTag tag(std::uint32_t place) { return {EventKind::kGuestListener, place}; }

  static constexpr std::uint64_t kFirst = 2;
  sys::Kernel& kernel_ = sys::real_kernel();
  sys::EventLoop loop_;
  agent::GuestAgent agent_;
  UniqueFd far_;
  LoopbackPorts ports_{kernel_, loop_};
};

TEST_F(LoopbackPortsTest, APlaceLeadsToThePortOfTheHostInItsFamily) {
  add(2);
  ports_.on_socket(3, {.tag = kFirst + 3, .error = 0, .socket = listening()});
  LoopbackPorts::Place* const place = ports_.find(tag(3));
  ASSERT_NE(place, nullptr);
  const auto loopback = wire::IpAddress::loopback(wire::IpFamily::kV6);
  EXPECT_EQ(place->guest, (wire::Endpoint{loopback, wire::Port{5001}}));
  EXPECT_EQ(place->target, (wire::Endpoint{loopback, wire::Port{6001}}));
}

TEST_F(LoopbackPortsTest, OneThatTheGuestHasItselfIsLeftOut) {
  add(1);
  ports_.on_socket(0, {.tag = kFirst, .error = EADDRINUSE, .socket = {}});
  EXPECT_EQ(ports_.find(tag(0)), nullptr);
}

TEST_F(LoopbackPortsTest, AnswersThatNobodyAskedForAreNone) {
  add(1);
  ports_.on_socket(7, {.tag = kFirst + 7, .error = 0, .socket = listening()});
  EXPECT_EQ(ports_.find(tag(7)), nullptr);
}

TEST_F(LoopbackPortsTest, WhileItPausesNobodyIsWatched) {
  add(1);
  ports_.on_socket(0, {.tag = kFirst, .error = 0, .socket = listening()});
  const Instant now = loop_.now();
  ports_.pause(now);
  EXPECT_EQ(ports_.resume_at(), now + host::kAcceptPause);
  ports_.on_socket(1, {.tag = kFirst + 1, .error = 0, .socket = listening()});
  ports_.resume(now + host::kAcceptPause);
  EXPECT_EQ(ports_.resume_at(), kNever);
  for (const std::uint32_t place : {0U, 1U}) {
    ASSERT_NE(ports_.find(tag(place)), nullptr);
    EXPECT_TRUE(loop_.remove(ports_.find(tag(place))->listener.fd()));  // It is watched.
  }
}

}  // namespace
}  // namespace sluice::driver
