// UdpIo in a worker over a kernel that answers as scripted.
#include "driver/io/udp_io.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "unit/driver/worker_rig.h"

namespace sluice::driver {
namespace {

using flow::test::Bytes;
using flow::test::endpoint;

class UdpIoTest : public ::testing::Test, protected WorkerRig {
 protected:
  [[nodiscard]] Bytes datagram(const wire::Endpoint& to, std::size_t size = 100) const {
    return flow::test::udp_frame(network, guest, to, flow::test::stream(0, size));
  }
  [[nodiscard]] std::vector<int> opened() const {
    std::vector<int> fds;
    for (const sys::FakeKernel::Call& call : kernel.calls) {
      if (call.name == "sendmmsg") fds.push_back(call.fd);
    }
    return fds;
  }

  const wire::Endpoint guest = endpoint("10.0.2.15:40000");
  const wire::Endpoint first = endpoint("198.51.100.7:4000");
  const wire::Endpoint second = endpoint("198.51.100.8:4000");
};

TEST_F(UdpIoTest, AnEndpointOfTheGuestHasOneSocket) {
  feed({datagram(first)});
  feed({datagram(second)});
  const auto fds = opened();
  ASSERT_EQ(fds.size(), 2U);
  EXPECT_EQ(fds[0], fds[1]);
  EXPECT_TRUE(kernel.watched.contains(fds[0]));
}

TEST_F(UdpIoTest, ABurstIsOneCallAndLosesNothing) {
  std::vector<Bytes> burst;
  for (int i = 0; i < 20; ++i) burst.push_back(datagram(i < 10 ? first : second));
  feed(std::move(burst));
  EXPECT_EQ(kernel.count("sendmmsg"), 1U);
  std::size_t bytes = 0;
  for (const std::string& one : kernel.sent) bytes += one.size();
  EXPECT_EQ(bytes, 20U * 100U);
}

TEST_F(UdpIoTest, WhatAFullSocketDoesNotTakeIsCounted) {
  kernel.script("sendmmsg", -1, EAGAIN);
  feed({datagram(first), datagram(second)});
  EXPECT_EQ(drops(flow::DropReason::kUdpSendFailed), 2U);
}

TEST_F(UdpIoTest, AnErrorIsTheDatagramsAndTheNextGoesOut) {
  kernel.script("sendmmsg", -1, ENETUNREACH);
  kernel.script("sendmmsg", -1, ENETUNREACH);  // Told twice, so it is this datagram's.
  feed({datagram(first), datagram(second)});
  EXPECT_EQ(drops(flow::DropReason::kUdpSendFailed), 1U);
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_EQ(frame(0).icmp().type(), wire::IcmpType::kDestinationUnreachable);
  EXPECT_EQ(kernel.count("sendmmsg"), 3U);
}

TEST_F(UdpIoTest, AnAnswerIsTheGuestsWithItsSender) {
  feed({datagram(first)});
  kernel.script_datagram(first, "answer");
  turn({{opened().front(), EPOLLIN}});
  ASSERT_EQ(link->written.size(), 1U);
  const flow::test::Received received = frame(0);
  const ByteView bytes = received.udp().payload();
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "answer");
  EXPECT_EQ(received.udp().source_port(), first.port);
  EXPECT_EQ(received.udp().destination_port(), guest.port);
}

TEST_F(UdpIoTest, WithoutADescriptorTheFlowIsRefusedAndTheNextIsNot) {
  kernel.script("socket", -1, EMFILE);
  feed({datagram(first)});
  EXPECT_EQ(drops(flow::DropReason::kNoDescriptors), 1U);
  EXPECT_EQ(worker->snapshot().flows, 0U);
  feed({datagram(first)});
  EXPECT_EQ(worker->snapshot().flows, 1U);
  EXPECT_EQ(kernel.count("sendmmsg"), 1U);
}

// Its answers would never be seen.
TEST_F(UdpIoTest, WithoutAWatchTheFlowIsRefusedAndTheNextIsNot) {
  kernel.script("epoll_ctl", -1, ENOSPC);
  feed({datagram(first)});
  EXPECT_EQ(drops(flow::DropReason::kNoDescriptors), 1U);
  EXPECT_EQ(worker->snapshot().flows, 0U);
  EXPECT_EQ(kernel.count("sendmmsg"), 0U);
  EXPECT_EQ(std::ranges::count(kernel.closed, kernel.last("epoll_ctl")->fd), 1);
  feed({datagram(first)});
  EXPECT_EQ(worker->snapshot().flows, 1U);
  EXPECT_TRUE(kernel.watched.contains(opened().back()));
}

}  // namespace
}  // namespace sluice::driver
