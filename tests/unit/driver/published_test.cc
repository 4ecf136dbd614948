#include "driver/published.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>

#include "unit/driver/worker_rig.h"
#include "unit/sys/fake_kernel.h"

namespace sluice::driver {
namespace {

class PublishedPortsTest : public testing::Test {
 protected:
  [[nodiscard]] std::expected<PublishedPorts, std::string> open(const char* text) {
    return PublishedPorts::open(kernel, {policy::parse_port_map(text).value()}, {});
  }
  sys::FakeKernel kernel;
};

TEST_F(PublishedPortsTest, EverywhereMeansBothFamilies) {
  const auto ports = open("8080:80");
  ASSERT_TRUE(ports.has_value());
  ASSERT_EQ(ports->tcp.size(), 2U);
  EXPECT_EQ(wire::to_string(ports->tcp[0].guest), "10.0.2.15:80");
  EXPECT_EQ(wire::to_string(ports->tcp[1].guest), "[fd00::15]:80");
}

TEST_F(PublishedPortsTest, ARangeOpensEachOfItsPorts) {
  const auto ports = open("127.0.0.1:8000-8004:90-94/udp");
  ASSERT_TRUE(ports.has_value());
  ASSERT_EQ(ports->udp.size(), 5U);
  EXPECT_EQ(wire::to_string(ports->udp[4].guest), "10.0.2.15:94");
}

TEST_F(PublishedPortsTest, AHostWithoutIpv6StillPublishesEverywhere) {
  kernel.script("socket", 1000);
  kernel.script("socket", -1, EAFNOSUPPORT);
  const auto ports = open("8080:80");
  ASSERT_TRUE(ports.has_value());
  EXPECT_EQ(ports->tcp.size(), 1U);
}

TEST_F(PublishedPortsTest, AnAddressThatWasNamedMustWork) {
  kernel.script("socket", -1, EAFNOSUPPORT);
  EXPECT_FALSE(open("[::1]:8080:80").has_value());
}

TEST_F(PublishedPortsTest, APortInUseIsToldByItsMap) {
  kernel.script("bind", -1, EADDRINUSE);
  const auto ports = open("8080:80");
  ASSERT_FALSE(ports.has_value());
  EXPECT_EQ(ports.error(),
            "8080:80: cannot listen on 0.0.0.0:8080: Address already in use; another "
            "program has this port: choose a different one");
}

TEST_F(PublishedPortsTest, WhatIsOnlyWantedIfFreeIsLeftOut) {
  auto map = policy::parse_port_map("127.0.0.1:8080-8082:80-82").value();
  map.if_free = true;
  kernel.script("bind", -1, EADDRINUSE);
  kernel.script("bind", 0);
  kernel.script("bind", -1, EACCES);
  const auto ports = PublishedPorts::open(kernel, {map}, {});
  ASSERT_TRUE(ports.has_value()) << ports.error();
  ASSERT_EQ(ports->tcp.size(), 1U);
  EXPECT_EQ(wire::to_string(ports->tcp[0].guest), "10.0.2.15:81");

  kernel.script("bind", -1, EADDRNOTAVAIL);
  EXPECT_FALSE(PublishedPorts::open(kernel, {map}, {}).has_value()) << "that is a mistake";
}

TEST_F(PublishedPortsTest, AddressesToComeNeedNotBeTheHosts) {
  for (const char* const text : {"192.0.2.77:48080:80", "192.0.2.77:45353:53/udp"}) {
    auto map = policy::parse_port_map(text).value();
    EXPECT_FALSE(PublishedPorts::open(sys::real_kernel(), {map}, {}).has_value()) << text;
    map.freebind = true;
    EXPECT_TRUE(PublishedPorts::open(sys::real_kernel(), {map}, {}).has_value()) << text;
  }
}

TEST_F(PublishedPortsTest, AnInterfaceBindsBothKindsToIt) {
  for (const char* const text : {"8080:80", "5353:53/udp"}) {
    auto map = policy::parse_port_map(text).value();
    map.interface = "eth0";
    kernel.calls.clear();
    ASSERT_TRUE(PublishedPorts::open(kernel, {map}, {}).has_value());
    EXPECT_EQ(std::ranges::count_if(kernel.calls,
                                    [](const sys::FakeKernel::Call& call) {
                                      return call.name == "setsockopt" &&
                                             call.first == SOL_SOCKET &&
                                             call.second == SO_BINDTODEVICE;
                                    }),
              2)
        << text;
  }
}

class PortPublisherTest : public ::testing::Test, protected WorkerRig {
 protected:
  static constexpr int kClient = 5000;

  void publish(const char* text, Begin begin = Begin::kYes) {
    WorkerOptions options;
    options.published =
        std::move(*PublishedPorts::open(kernel, {policy::parse_port_map(text).value()}, network));
    if (!options.published.tcp.empty()) listener = options.published.tcp[0].listener.fd();
    start(std::move(options), begin);
  }
  void call() {
    kernel.script("accept4", kClient);
    kernel.script("accept4", -1, EAGAIN);
    turn({{listener, EPOLLIN}});
  }

  int listener = -1;
};

TEST_F(PortPublisherTest, AClientBecomesAFlowOfTheGuest) {
  publish("127.0.0.1:8080:80");
  call();
  EXPECT_EQ(worker->snapshot().flows, 1U);
  EXPECT_TRUE(kernel.watched.contains(kClient));
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_TRUE(frame(0).tcp().flags().syn());
}

TEST_F(PortPublisherTest, AClientThatCannotBeWatchedIsResetAndTheOthersWait) {
  publish("127.0.0.1:8080:80");
  kernel.script("epoll_ctl", -1, ENOSPC);
  call();
  EXPECT_EQ(worker->snapshot().flows, 0U);
  EXPECT_EQ(drops(flow::DropReason::kNoDescriptors), 1U);
  EXPECT_EQ(std::ranges::count(kernel.closed, kClient), 1);
  ASSERT_FALSE(link->written.empty());
  EXPECT_TRUE(frame(link->written.size() - 1).tcp().flags().rst());
  EXPECT_FALSE(kernel.watched.contains(listener));
  pass(std::chrono::seconds(1));
  turn();
  EXPECT_TRUE(kernel.watched.contains(listener));
}

TEST_F(PortPublisherTest, AListenerThatCannotBeWatchedAgainIsTriedLater) {
  publish("127.0.0.1:8080:80");
  kernel.script("accept4", -1, EMFILE);
  turn({{listener, EPOLLIN}});
  EXPECT_FALSE(kernel.watched.contains(listener));
  pass(std::chrono::seconds(1));
  kernel.script("epoll_ctl", -1, ENOSPC);
  turn();
  EXPECT_FALSE(kernel.watched.contains(listener));
  pass(std::chrono::seconds(1));
  turn();
  EXPECT_TRUE(kernel.watched.contains(listener));
}

TEST_F(PortPublisherTest, APortThatCannotBeWatchedIsAnErrorAtTheStart) {
  for (const char* port : {"127.0.0.1:8080:80", "127.0.0.1:8080:80/udp"}) {
    publish(port, Begin::kNo);
    for (std::size_t i = 0; i < link->fds.size(); ++i) kernel.script("epoll_ctl", 0);
    kernel.script("epoll_ctl", -1, ENOSPC);
    EXPECT_FALSE(worker->begin().has_value()) << port;
  }
}

TEST_F(PortPublisherTest, ALostConnectionCostsNoOther) {
  publish("127.0.0.1:8080:80");
  kernel.script("accept4", -1, ECONNABORTED);
  kernel.script("accept4", -1, EPERM);
  call();
  EXPECT_EQ(worker->snapshot().flows, 1U);
  EXPECT_TRUE(kernel.watched.contains(listener));
}

TEST_F(PortPublisherTest, WithoutADescriptorListenersPause) {
  publish("127.0.0.1:8080:80");
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    kernel.script("accept4", -1, error);
    const std::uint64_t before = drops(flow::DropReason::kNoDescriptors);
    turn({{listener, EPOLLIN}});
    EXPECT_EQ(drops(flow::DropReason::kNoDescriptors), before + 1);
    EXPECT_FALSE(kernel.watched.contains(listener)) << error;
    pass(host::kAcceptPause);
    turn();
    EXPECT_TRUE(kernel.watched.contains(listener)) << error;
  }
  call();
  EXPECT_EQ(worker->snapshot().flows, 1U);
}

TEST_F(PortPublisherTest, AnErrorOfTheListenerEndsTheTurnOnly) {
  publish("127.0.0.1:8080:80");
  for (const int error : {EINVAL, EBADF, EACCES}) {
    kernel.script("accept4", -1, error);
    turn({{listener, EPOLLIN}});
    EXPECT_TRUE(kernel.watched.contains(listener)) << error;
    EXPECT_EQ(worker->snapshot().flows, 0U);
  }
  call();
  EXPECT_EQ(worker->snapshot().flows, 1U);
}

// A request for each connection: asking whether another waits is half of all calls then.
TEST_F(PortPublisherTest, AsksForNoSecondConnectionWhileTheyComeOneByOne) {
  publish("127.0.0.1:8080:80");
  call();
  turn({{listener, EPOLLIN}});  // Nobody waits.
  const std::size_t before = kernel.count("accept4");
  kernel.script("accept4", kClient + 1);
  turn({{listener, EPOLLIN}});
  EXPECT_EQ(kernel.count("accept4"), before + 1);
}

TEST_F(PortPublisherTest, APortIsAddedAndRemovedWhileItRuns) {
  publish("127.0.0.1:8080:80");
  auto more =
      PublishedPorts::open(kernel, {policy::parse_port_map("127.0.0.1:8081:81").value()}, network);
  const int added = more->tcp[0].listener.fd();
  ASSERT_TRUE(worker->publish(std::move(*more)).has_value());
  EXPECT_TRUE(kernel.watched.contains(added));
  kernel.script("accept4", kClient);
  kernel.script("accept4", -1, EAGAIN);
  turn({{added, EPOLLIN}});
  EXPECT_EQ(worker->snapshot().flows, 1U);

  worker->unpublish("127.0.0.1:8081:81");
  EXPECT_EQ(std::ranges::count(kernel.closed, added), 1);
  EXPECT_EQ(worker->snapshot().flows, 1U);  // Who was accepted stays.
  EXPECT_TRUE(kernel.watched.contains(listener));

  // Its place is another's.
  auto third =
      PublishedPorts::open(kernel, {policy::parse_port_map("127.0.0.1:8082:82").value()}, network);
  const int last = third->tcp[0].listener.fd();
  ASSERT_TRUE(worker->publish(std::move(*third)).has_value());
  EXPECT_TRUE(kernel.watched.contains(last));
}

TEST_F(PortPublisherTest, WhatCannotBeWatchedIsNotPublished) {
  publish("127.0.0.1:8080:80");
  auto more = PublishedPorts::open(
      kernel, {policy::parse_port_map("127.0.0.1:8081-8082:81-82").value()}, network);
  const int first = more->tcp[0].listener.fd();
  const int second = more->tcp[1].listener.fd();
  kernel.script("epoll_ctl", 0);
  kernel.script("epoll_ctl", -1, ENOSPC);
  EXPECT_FALSE(worker->publish(std::move(*more)).has_value());
  EXPECT_EQ(std::ranges::count(kernel.closed, first), 1);
  EXPECT_EQ(std::ranges::count(kernel.closed, second), 1);
}

TEST_F(PortPublisherTest, APausedListenerThatIsRemovedDoesNotComeBack) {
  publish("127.0.0.1:8080:80");
  kernel.script("accept4", -1, EMFILE);
  turn({{listener, EPOLLIN}});
  worker->unpublish("127.0.0.1:8080:80");
  pass(std::chrono::seconds(1));
  turn();
  EXPECT_FALSE(kernel.watched.contains(listener));
}

}  // namespace
}  // namespace sluice::driver
