#include "driver/loopback/loopback_ports.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

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
  std::vector<UniqueFd> listening() {
    auto made = host::TcpListener::open(
        kernel_, {wire::IpAddress::loopback(wire::IpFamily::kV4), wire::Port{0}});
    std::vector<UniqueFd> found;
    found.emplace_back(::dup(made->fd()));
    return found;
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
  ports_.on_socket(3, {.tag = kFirst + 3, .error = 0, .sockets = listening()}, loop_.now());
  LoopbackPorts::Place* const place = ports_.find(tag(3));
  ASSERT_NE(place, nullptr);
  const auto loopback = wire::IpAddress::loopback(wire::IpFamily::kV6);
  EXPECT_EQ(place->guest, (wire::Endpoint{loopback, wire::Port{5001}}));
  EXPECT_EQ(place->target, (wire::Endpoint{loopback, wire::Port{6001}}));
}

TEST_F(LoopbackPortsTest, OneThatTheGuestHasItselfIsLeftOut) {
  add(1);
  ports_.on_socket(0, {.tag = kFirst, .error = EADDRINUSE, .sockets = {}}, loop_.now());
  EXPECT_EQ(ports_.find(tag(0)), nullptr);
}

TEST_F(LoopbackPortsTest, AnswersThatNobodyAskedForAreNone) {
  add(1);
  ports_.on_socket(7, {.tag = kFirst + 7, .error = 0, .sockets = listening()}, loop_.now());
  EXPECT_EQ(ports_.find(tag(7)), nullptr);
}

TEST_F(LoopbackPortsTest, WhileItPausesNobodyIsWatched) {
  add(1);
  ports_.on_socket(0, {.tag = kFirst, .error = 0, .sockets = listening()}, loop_.now());
  const Instant now = loop_.now();
  ports_.pause(now);
  EXPECT_EQ(ports_.resume_at(), now + host::kAcceptPause);
  ports_.on_socket(1, {.tag = kFirst + 1, .error = 0, .sockets = listening()}, loop_.now());
  ports_.resume(now + host::kAcceptPause);
  EXPECT_EQ(ports_.resume_at(), kNever);
  for (const std::uint32_t place : {0U, 1U}) {
    ASSERT_NE(ports_.find(tag(place)), nullptr);
    EXPECT_TRUE(loop_.remove(ports_.find(tag(place))->listener.fd()));  // It is watched.
  }
}

class FollowingPortsTest : public LoopbackPortsTest {
 protected:
  static policy::PortMap v4(std::uint16_t port,
                            policy::Protocol protocol = policy::Protocol::kTcp) {
    return {.protocol = protocol,
            .address = wire::IpAddress::loopback(wire::IpFamily::kV4),
            .host_first = wire::Port{port},
            .guest_first = wire::Port{port}};
  }
  void follow(const std::vector<policy::PortMap>& maps) {
    ports_.follow(maps);
    ASSERT_TRUE(ports_.order(agent_, kFirst));
  }
  bool has(std::uint16_t port, policy::Protocol protocol = policy::Protocol::kTcp) const {
    return ports_.has(protocol, wire::Port{port});
  }
};

TEST_F(FollowingPortsTest, TheyComeAndGoInTheirFamily) {
  add(1);
  follow({v4(7000)});
  EXPECT_TRUE(has(5000) && has(7000));
  EXPECT_FALSE(has(7000, policy::Protocol::kUdp));
  ports_.on_socket(2, {.tag = kFirst + 2, .error = 0, .sockets = listening()}, loop_.now());
  ASSERT_NE(ports_.find(tag(2)), nullptr);
  EXPECT_EQ(ports_.find(tag(2))->target.port, wire::Port{7000});
  EXPECT_EQ(ports_.find(tag(3)), nullptr) << "the other family was not asked for";
  const int fd = ports_.find(tag(2))->listener.fd();
  follow({});
  EXPECT_EQ(ports_.find(tag(2)), nullptr);
  EXPECT_FALSE(has(7000));
  EXPECT_TRUE(has(5000)) << "for ever";
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1) << "it is closed";
}

TEST_F(FollowingPortsTest, OneThatGoesWhileItIsMadeIsClosedWhenItComes) {
  follow({v4(7000)});
  follow({});
  EXPECT_TRUE(has(7000)) << "the agent may have it by now";
  ports_.on_socket(0, {.tag = kFirst, .error = 0, .sockets = listening()}, loop_.now());
  EXPECT_FALSE(has(7000));
  EXPECT_EQ(ports_.find(tag(0)), nullptr);
  EXPECT_FALSE(ports_.awaits_answers());
}

TEST_F(FollowingPortsTest, OneThatComesBackWhileItIsMadeStays) {
  follow({v4(7000)});
  follow({});
  follow({v4(7000)});
  ports_.on_socket(0, {.tag = kFirst, .error = 0, .sockets = listening()}, loop_.now());
  EXPECT_NE(ports_.find(tag(0)), nullptr);
}

TEST_F(FollowingPortsTest, OneThatTheGuestHasItselfIsAskedForAgain) {
  follow({v4(7000)});
  const Instant now = loop_.now();
  ports_.on_socket(0, {.tag = kFirst, .error = EADDRINUSE, .sockets = {}}, now);
  EXPECT_TRUE(has(7000)) << "though who waits there is the guest's";
  EXPECT_FALSE(ports_.awaits_answers());
  EXPECT_EQ(ports_.ask_again_at(), now + LoopbackPorts::kAskAgain);
  ports_.ask_again();
  EXPECT_EQ(ports_.ask_again_at(), kNever);
  EXPECT_TRUE(has(7000));
  ASSERT_TRUE(ports_.order(agent_, kFirst));
  ports_.on_socket(0, {.tag = kFirst, .error = 0, .sockets = listening()}, now);
  EXPECT_NE(ports_.find(tag(0)), nullptr);
}

TEST_F(FollowingPortsTest, WhatIsThereForEverIsNotReplaced) {
  add(1);
  follow({v4(5000)});
  ports_.on_socket(0, {.tag = kFirst, .error = 0, .sockets = listening()}, loop_.now());
  ASSERT_NE(ports_.find(tag(0)), nullptr);
  EXPECT_EQ(ports_.find(tag(0))->target.port, wire::Port{6000});
  follow({});
  EXPECT_NE(ports_.find(tag(0)), nullptr);
}

TEST_F(FollowingPortsTest, APortThatComesAnewHasAnotherNumber) {
  follow({v4(7000)});
  ports_.on_socket(0, {.tag = kFirst, .error = 0, .sockets = listening()}, loop_.now());
  follow({});
  follow({v4(7001)});
  ports_.on_socket(1, {.tag = kFirst + 1, .error = 0, .sockets = listening()}, loop_.now());
  EXPECT_EQ(ports_.find(tag(0)), nullptr) << "flows of the first are not the second's";
  EXPECT_NE(ports_.find(tag(1)), nullptr);
}

}  // namespace
}  // namespace sluice::driver
