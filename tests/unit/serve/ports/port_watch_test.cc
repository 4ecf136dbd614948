#include "serve/ports/port_watch.h"

#include <gtest/gtest.h>

#include "host/listener.h"
#include "serve/ports/port_follower.h"
#include "sys/kernel.h"

namespace sluice::serve {
namespace {

class Ports final : public PortSet {
 public:
  std::expected<policy::PortMap, Refusal> publish(const policy::PortMap& map) override {
    all.push_back(map);
    return map;
  }
  bool unpublish(const policy::PortMap& map) override { return std::erase(all, map) > 0; }
  [[nodiscard]] bool has(const policy::PortMap&) const override { return false; }
  [[nodiscard]] bool waits_at(policy::Protocol, const wire::Endpoint&) const override {
    return false;
  }
  [[nodiscard]] bool has_port(wire::Port port) const {
    return std::ranges::find(all, port, &policy::PortMap::host_first) != all.end();
  }

  std::vector<policy::PortMap> all;
};

class PortWatchTest : public testing::Test {
 protected:
  std::unique_ptr<PortsObserver> follower() {
    return std::make_unique<PortFollower>(ports_, network_,
                                          PortFollower::Terms{.ports = {FollowedPorts{}}});
  }

  Ports ports_;
  flow::GuestNetwork network_;
};

TEST_F(PortWatchTest, LooksNowAndThen) {
  PortWatch watch(netlink::ListeningPorts::open().value(), follower(), "the guest");
  Instant now{std::chrono::seconds(100)};
  watch.turn(now);
  ASSERT_GE(watch.next_wakeup(), now + PortWatch::kEvery);
  auto listener =
      host::TcpListener::open(sys::real_kernel(), {wire::IpAddress(), wire::Port{}}).value();
  const wire::Port port = listener.local_endpoint()->port;
  watch.turn(now);
  EXPECT_FALSE(ports_.has_port(port)) << "it is not time yet";
  watch.turn(now = watch.next_wakeup());
  EXPECT_TRUE(ports_.has_port(port));
  listener.close();
  watch.turn(watch.next_wakeup());
  EXPECT_FALSE(ports_.has_port(port));
}

TEST_F(PortWatchTest, WhatIsPublishedStaysWhereTheKernelDoesNotTell) {
  PortWatch watch(netlink::ListeningPorts(UniqueFd()), follower(), "the guest");
  watch.turn(Instant{});
  EXPECT_TRUE(ports_.all.empty());
  EXPECT_GE(watch.next_wakeup(), Instant{} + PortWatch::kEvery);
}

class Looks final : public PortsObserver {
 public:
  explicit Looks(int& count) : count_(count) {}
  [[nodiscard]] bool follows(policy::Protocol protocol) const override {
    return protocol == policy::Protocol::kTcp;
  }
  void look(policy::Protocol, std::span<const wire::Endpoint>) override { ++count_; }

 private:
  int& count_;
};

TEST_F(PortWatchTest, TheHostIsLookedAtBeforeTheGuestBegins) {
  int guest = 0;
  int host = 0;
  const auto watch = [](int& count) {
    return PortWatch(netlink::ListeningPorts::open().value(), std::make_unique<Looks>(count),
                     "somebody");
  };
  PortWatches both(watch(guest), watch(host));
  EXPECT_TRUE(both.publishes());
  const Instant now{std::chrono::seconds(100)};
  both.look_at_host(now);
  EXPECT_EQ(std::pair(guest, host), std::pair(0, 1));
  both.turn(now);
  EXPECT_EQ(std::pair(guest, host), std::pair(1, 1)) << "the host's time has not come again";
  EXPECT_GE(both.next_wakeup(), now + PortWatch::kEvery);
  PortWatches one(std::nullopt, watch(host));
  EXPECT_FALSE(one.publishes());
  one.turn(now);
  EXPECT_EQ(host, 2);
  EXPECT_EQ(PortWatches(std::nullopt, std::nullopt).next_wakeup(), kNever);
}

}  // namespace
}  // namespace sluice::serve
