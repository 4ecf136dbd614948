#include "driver/port_publisher.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/driver/worker_rig.h"

namespace sluice::driver {
namespace {

class PortPublisherTest : public ::testing::Test, protected WorkerRig {
 protected:
  static constexpr int kClient = 5000;

  void publish(const char* text, Begin begin = Begin::kYes) {
    WorkerOptions options;
    options.published =
        std::move(open_ports(kernel, {policy::parse_port_map(text).value()}, network)->ports);
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
  auto more = open_ports(kernel, {policy::parse_port_map("127.0.0.1:8081:81").value()}, network);
  const int added = more->ports.tcp[0].listener.fd();
  ASSERT_TRUE(worker->publish(std::move(more->ports)).has_value());
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
  auto third = open_ports(kernel, {policy::parse_port_map("127.0.0.1:8082:82").value()}, network);
  const int last = third->ports.tcp[0].listener.fd();
  ASSERT_TRUE(worker->publish(std::move(third->ports)).has_value());
  EXPECT_TRUE(kernel.watched.contains(last));
}

TEST_F(PortPublisherTest, WhatCannotBeWatchedIsNotPublished) {
  publish("127.0.0.1:8080:80");
  auto more =
      open_ports(kernel, {policy::parse_port_map("127.0.0.1:8081-8082:81-82").value()}, network);
  const int first = more->ports.tcp[0].listener.fd();
  const int second = more->ports.tcp[1].listener.fd();
  kernel.script("epoll_ctl", 0);
  kernel.script("epoll_ctl", -1, ENOSPC);
  EXPECT_FALSE(worker->publish(std::move(more->ports)).has_value());
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
