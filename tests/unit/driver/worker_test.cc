// The worker over a kernel and a link of the test's: who is told what, and in which order.
#include "driver/worker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "unit/driver/worker_rig.h"

namespace sluice::driver {
namespace {

using namespace std::chrono_literals;
using flow::test::Bytes;
using flow::test::endpoint;

class WorkerTest : public ::testing::Test, protected WorkerRig {
 protected:
  static constexpr wire::SeqNum kIsn{999};

  struct Connection {
    wire::Endpoint guest;
    int fd = -1;  // The host's socket.
    wire::SeqNum host_next;
  };

  [[nodiscard]] static flow::test::GuestSegment syn(const wire::Endpoint& guest) {
    return {.guest = guest,
            .remote = endpoint("198.51.100.7:80"),
            .sequence = kIsn,
            .flags = wire::kSyn,
            .options = {.mss = 1460, .window_scale = 7, .sack_permitted = true}};
  }
  Connection open(const char* from) {
    Connection c{.guest = endpoint(from), .host_next = {}};
    feed({flow::test::tcp_frame(network, syn(c.guest))});
    c.fd = kernel.last("connect")->fd;
    link->written.clear();
    turn({{c.fd, EPOLLOUT}});
    EXPECT_EQ(link->written.size(), 1U);
    if (link->written.empty()) return c;
    EXPECT_TRUE(frame(0).tcp().flags().syn());
    c.host_next = frame(0).tcp().sequence() + 1;
    feed({flow::test::tcp_frame(network, {.guest = c.guest,
                                          .remote = endpoint("198.51.100.7:80"),
                                          .sequence = kIsn + 1,
                                          .acknowledgment = c.host_next})});
    link->written.clear();
    return c;
  }
  // One whose guest has sent 500 bytes that its host does not take yet.
  Connection open_stalled() {
    const Connection c = open("10.0.2.15:40000");
    kernel.script("sendmsg", -1, EAGAIN);
    kernel.script("sendmsg", -1, EAGAIN);
    feed({flow::test::tcp_frame(network, {.guest = c.guest,
                                          .remote = endpoint("198.51.100.7:80"),
                                          .sequence = kIsn + 1,
                                          .acknowledgment = c.host_next,
                                          .payload = flow::test::stream(0, 500)})});
    return c;
  }
  [[nodiscard]] std::string payload(std::size_t at) const {
    const flow::test::Received received = frame(at);
    const ByteView bytes = received.tcp().payload();
    return {bytes.begin(), bytes.end()};
  }
};

// A machine's driver negotiates, and may be another one later.
TEST_F(WorkerTest, WhatTheLinkDoesIsAskedBehindEachBurst) {
  const auto needs_checksum = [&](bool offered, const char* from) {
    link->offers.checksum = offered;
    link->offloads.clear();
    (void)open(from);
    return !link->offloads.empty() && link->offloads.front().needs_checksum();
  };
  EXPECT_FALSE(needs_checksum(false, "10.0.2.15:40000"));
  EXPECT_TRUE(needs_checksum(true, "10.0.2.15:40001"));
  EXPECT_FALSE(needs_checksum(false, "10.0.2.15:40002"));
}

TEST_F(WorkerTest, AConnectionIsAnsweredOnceTheHostHas) {
  feed({flow::test::tcp_frame(network, syn(endpoint("10.0.2.15:40000")))});
  EXPECT_TRUE(link->written.empty());
  turn({{kernel.last("connect")->fd, EPOLLOUT}});
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_TRUE(frame(0).tcp().flags().syn() && frame(0).tcp().flags().ack());
}

TEST_F(WorkerTest, EachPeekIsWrittenBeforeTheNextUsesItsBuffer) {
  const Connection first = open("10.0.2.15:40000");
  const Connection second = open("10.0.2.15:40001");
  kernel.script_data("what the first host says");
  kernel.script_data("the other's answer......");
  turn({{first.fd, EPOLLIN}, {second.fd, EPOLLIN}});
  ASSERT_EQ(link->written.size(), 2U);
  EXPECT_EQ(payload(0), "what the first host says");
  EXPECT_EQ(payload(1), "the other's answer......");
}

TEST_F(WorkerTest, EachBatchOfDatagramsIsWrittenBeforeTheNextUsesItsBuffer) {
  const wire::Endpoint remote = endpoint("198.51.100.7:4000");
  std::array<int, 2> fds{};
  for (std::size_t i = 0; i < 2; ++i) {
    const wire::Endpoint guest = endpoint(i == 0 ? "10.0.2.15:40000" : "10.0.2.15:40001");
    feed({flow::test::udp_frame(network, guest, remote, {1})});
    fds[i] = kernel.last("sendmmsg")->fd;
  }
  ASSERT_NE(fds[0], fds[1]);
  link->written.clear();
  kernel.script("recvmmsg", 1);
  kernel.script_datagram(remote, "one");
  // Each socket takes all that is there, so the second's comes behind the first's turn.
  turn({{fds[0], EPOLLIN}});
  kernel.script_datagram(remote, "two");
  turn({{fds[1], EPOLLIN}});
  ASSERT_EQ(link->written.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const flow::test::Received received = frame(i);
    const ByteView bytes = received.udp().payload();
    EXPECT_EQ(std::string(bytes.begin(), bytes.end()), i == 0 ? "one" : "two");
  }
}

TEST_F(WorkerTest, FramesThatTheLinkLosesAreCounted) {
  link->lost = 1;
  feed({flow::test::arp_request(network, network.gateway_v4)});
  EXPECT_EQ(drops(flow::DropReason::kLinkWriteFailed), 1U);
  EXPECT_EQ(link->writes, 1U);
}

TEST_F(WorkerTest, WhatALinkHasNoRoomForStaysWithTheHost) {
  const Connection c = open("10.0.2.15:40000");
  const std::size_t reads = kernel.count("recvmsg");
  link->room = false;
  turn({{c.fd, EPOLLIN}});
  EXPECT_EQ(kernel.count("recvmsg"), reads);
  EXPECT_TRUE(link->written.empty());
  turn();
  EXPECT_TRUE(kernel.timeout_was_null || kernel.timeout.tv_sec > 0 || kernel.timeout.tv_nsec > 0);
  link->room = true;
  kernel.script_data("what the host says");
  turn({{link->fds[0], EPOLLIN}});
  turn();
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_EQ(payload(0), "what the host says");
}

TEST_F(WorkerTest, ALinkThatMayHaveRoomByTimeIsAskedThen) {
  const Connection c = open("10.0.2.15:40000");
  link->room = false;
  turn({{c.fd, EPOLLIN}});
  link->ask_again = Instant(std::chrono::seconds(kernel.time.tv_sec) +
                            std::chrono::nanoseconds(kernel.time.tv_nsec) + 5ms);
  turn();
  EXPECT_FALSE(kernel.timeout_was_null);
  EXPECT_EQ(kernel.timeout.tv_sec, 0);
  EXPECT_EQ(kernel.timeout.tv_nsec, 5'000'000);
}

TEST_F(WorkerTest, ALinkIsWrittenOnceForABurst) {
  std::vector<Bytes> burst;
  for (int i = 0; i < 20; ++i) {
    burst.push_back(flow::test::arp_request(network, network.gateway_v4));
  }
  feed(std::move(burst));
  EXPECT_EQ(link->written.size(), 20U);
  EXPECT_EQ(link->writes, 1U);
}

TEST_F(WorkerTest, ALinkThatIsGoneIsToldAndReadNoMore) {
  link->gone = true;
  turn({{link->fds[1], EPOLLIN}});
  EXPECT_EQ(links_gone, 1);
  for (const int fd : link->fds) EXPECT_FALSE(kernel.watched.contains(fd));
}

TEST_F(WorkerTest, OutsideIsToldByItsNumberAndOnlyWhileItIsWatched) {
  ASSERT_TRUE(worker->watch(77, 5).has_value());
  turn({{77, EPOLLIN}, {link->fds[0], EPOLLIN}, {77, EPOLLIN}});
  EXPECT_EQ(ready, (std::vector<std::uint32_t>{5, 5}));
  worker->unwatch(77);
  turn({{77, EPOLLIN}});
  EXPECT_EQ(ready.size(), 2U);
}

TEST_F(WorkerTest, ASnapshotHasFlowsAndEveryReason) {
  (void)open("10.0.2.15:40000");
  const telemetry::Snapshot snapshot = worker->snapshot();
  EXPECT_EQ(snapshot.flows, 1U);
  EXPECT_EQ(snapshot.drops.size(), flow::kDropReasonCount);
  EXPECT_EQ(snapshot.report, nullptr);
  WorkerOptions options;
  options.keep_report = true;
  start(std::move(options));
  (void)open("10.0.2.15:40000");
  (void)worker->finish();
  ASSERT_NE(worker->snapshot().report, nullptr);
  EXPECT_EQ(worker->snapshot().report->rows(), 1U);
}

TEST_F(WorkerTest, TheEndIsWhenWhatTheGuestLeftIsDelivered) {
  const Connection c = open_stalled();
  worker->begin_drain(*this);
  Undelivered left = worker->undelivered();
  EXPECT_EQ(left.flows, 1U);
  EXPECT_EQ(left.bytes, 500U);
  EXPECT_GT(left.until, worker->now());
  turn({{c.fd, EPOLLOUT}});
  // The guest may have more to say, and is given a moment for it.
  left = worker->undelivered();
  EXPECT_EQ(left.bytes, 0U);
  pass(1s);
  EXPECT_EQ(worker->undelivered().flows, 0U);
  EXPECT_TRUE(worker->finish().empty());
}

TEST_F(WorkerTest, WhatIsGivenUpIsNamed) {
  const Connection c = open_stalled();
  worker->begin_drain(*this);
  (void)worker->undelivered();
  const auto given_up = worker->finish();
  ASSERT_EQ(given_up.size(), 1U);
  EXPECT_EQ(given_up[0].bytes, 500U);
  EXPECT_EQ(given_up[0].key.guest, c.guest);
}

TEST_F(WorkerTest, AConnectionThatCannotBeWatchedIsRefused) {
  kernel.script("epoll_ctl", -1, ENOSPC);
  feed({flow::test::tcp_frame(network, syn(endpoint("10.0.2.15:40000")))});
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_TRUE(frame(0).tcp().flags().rst());
  EXPECT_EQ(drops(flow::DropReason::kNoDescriptors), 1U);
  EXPECT_EQ(worker->snapshot().flows, 0U);
  EXPECT_TRUE(std::ranges::count(kernel.closed, kernel.last("connect")->fd) == 1);
  // There is room again.
  (void)open("10.0.2.15:40001");
}

TEST_F(WorkerTest, AFlowThatWasAskedOnceGivesItsWatchToANewOne) {
  feed({flow::test::udp_frame(network, endpoint("10.0.2.15:4000"), endpoint("198.51.100.7:4000"),
                              {1})});
  const int spared = kernel.last("sendmmsg")->fd;
  pass(1s);
  kernel.script("epoll_ctl", -1, ENOSPC);
  (void)open("10.0.2.15:40000");
  EXPECT_EQ(std::ranges::count(kernel.closed, spared), 1);
  EXPECT_EQ(drops(flow::DropReason::kNoDescriptors), 0U);
}

TEST_F(WorkerTest, WhatItCannotDoWithoutIsAnErrorAtTheStart) {
  for (int before = 0; before < 2; ++before) {  // Each descriptor of the link.
    WorkerRig rig(WorkerRig::Begin::kNo);
    for (int i = 0; i < before; ++i) rig.kernel.script("epoll_ctl", 0);
    rig.kernel.script("epoll_ctl", -1, ENOSPC);
    const auto begun = rig.worker->begin();
    ASSERT_FALSE(begun.has_value()) << before;
    EXPECT_EQ(begun.error().error, ENOSPC);
  }
}

}  // namespace
}  // namespace sluice::driver
