#include "serve/ports/port_watch.h"

#include <gtest/gtest.h>

#include "host/listener.h"
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
  [[nodiscard]] bool has_port(wire::Port port) const {
    return std::ranges::find(all, port, &policy::PortMap::host_first) != all.end();
  }

  std::vector<policy::PortMap> all;
};

class PortWatchTest : public testing::Test {
 protected:
  PortFollower follower() {
    return {ports_, network_, {.like = {{.address = {}, .host_first = {}, .guest_first = {}}}}};
  }

  Ports ports_;
  flow::GuestNetwork network_;
};

TEST_F(PortWatchTest, LooksNowAndThen) {
  PortWatch watch(netlink::ListeningPorts::open().value(), follower());
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
  PortWatch watch(netlink::ListeningPorts(UniqueFd()), follower());
  watch.turn(Instant{});
  EXPECT_TRUE(ports_.all.empty());
  EXPECT_GE(watch.next_wakeup(), Instant{} + PortWatch::kEvery);
}

}  // namespace
}  // namespace sluice::serve
