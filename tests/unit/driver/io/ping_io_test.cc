// PingIo in a worker over a kernel that answers as scripted.
#include "driver/io/ping_io.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "unit/driver/worker_rig.h"

namespace sluice::driver {
namespace {

using flow::test::Bytes;
using flow::test::ip;

class PingIoTest : public ::testing::Test, protected WorkerRig {
 protected:
  [[nodiscard]] Bytes request(std::uint16_t identifier, std::uint16_t sequence = 1) const {
    return flow::test::ping_frame(network, target, identifier, sequence, {1, 2, 3});
  }
  // As the kernel gives it: with the identifier of the socket.
  [[nodiscard]] static std::string reply(std::uint16_t sequence) {
    const Bytes bytes =
        flow::test::echo_message(wire::IcmpType::kEchoReply, 0x7777, sequence, {1, 2, 3});
    return {bytes.begin(), bytes.end()};
  }

  const wire::IpAddress target = ip("198.51.100.7");
  const wire::Endpoint from{target, {}};
};

TEST_F(PingIoTest, AReplyHasTheGuestsIdentifier) {
  feed({request(0x4242)});
  ASSERT_EQ(kernel.count("sendmsg"), 1U);
  kernel.script_datagram(from, reply(1));
  turn({{kernel.last("sendmsg")->fd, EPOLLIN}});
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_EQ(frame(0).icmp().type(), wire::IcmpType::kEchoReply);
  EXPECT_EQ(frame(0).icmp().identifier(), 0x4242);
}

TEST_F(PingIoTest, AReplyThatIsThereAtOnceNeedsNoEvent) {
  kernel.script_datagram(from, reply(1));
  feed({request(0x4242)});
  EXPECT_EQ(link->written.size(), 1U);
}

TEST_F(PingIoTest, WhoIsNotPermittedIsToldOnceWhatToDo) {
  kernel.script("socket", -1, EACCES);
  kernel.script("socket", -1, EACCES);
  testing::internal::CaptureStderr();
  feed({request(1)});
  feed({request(2)});
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_EQ(drops(flow::DropReason::kPingForbidden), 2U);
  const auto first = told.find("ping_group_range");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(told.find("ping_group_range", first + 1), std::string::npos);
}

TEST_F(PingIoTest, WithoutAWatchTheFlowIsRefusedAndTheNextIsNot) {
  kernel.script("epoll_ctl", -1, ENOSPC);
  feed({request(1)});
  EXPECT_EQ(drops(flow::DropReason::kNoDescriptors), 1U);
  EXPECT_EQ(worker->snapshot().flows, 0U);
  EXPECT_EQ(kernel.count("sendmsg"), 0U);
  EXPECT_EQ(std::ranges::count(kernel.closed, kernel.last("epoll_ctl")->fd), 1);
  feed({request(1, 2)});
  EXPECT_EQ(kernel.count("sendmsg"), 1U);
}

TEST_F(PingIoTest, ALateEventFindsNothing) {
  feed({request(1)});
  const int fd = kernel.last("sendmsg")->fd;
  const epoll_event stale = kernel.watched.at(fd);
  (void)worker->finish();  // All flows end.
  kernel.watched[fd] = stale;
  kernel.script_datagram(from, reply(1));
  link->written.clear();
  turn({{fd, EPOLLIN}});
  EXPECT_TRUE(link->written.empty());
}

}  // namespace
}  // namespace sluice::driver
