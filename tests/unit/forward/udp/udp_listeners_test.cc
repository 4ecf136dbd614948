// The datagram half's listeners over a kernel that fails as scripted.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "forward/udp/udp_forwarder.h"
#include "unit/sys/fake_kernel.h"

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;

class UdpListenersTest : public testing::Test {
 protected:
  [[nodiscard]] auto listen(int fd) {
    return forwarder.listen(sys::KernelFd(kernel, fd), rule, 53, 0);
  }
  [[nodiscard]] bool closed(int fd) const { return std::ranges::count(kernel.closed, fd) == 1; }

  sys::FakeKernel kernel;
  sys::EventLoop loop = sys::EventLoop::create(kernel).value();
  Instant now{100s};
  TimerWheel timers{now};
  relay::Pools pools{kernel, {}};
  host::DatagramScratch scratch;
  SessionLog log;
  WorkerContext context{kernel, loop, timers, pools, scratch, log, now};
  UdpForwarder forwarder{context};
  std::shared_ptr<LiveRule> rule =
      std::make_shared<LiveRule>(Rule{}, policy::AccessList{}, std::make_shared<RuleCounters>());
};

TEST_F(UdpListenersTest, OneThatCannotBeWatchedIsRefusedAndClosed) {
  kernel.script("epoll_ctl", -1, ENOSPC);
  const auto refused = listen(7);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().error, ENOSPC);
  EXPECT_TRUE(closed(7));
  EXPECT_TRUE(listen(8).has_value());
  EXPECT_TRUE(kernel.watched.contains(8));
}

}  // namespace
}  // namespace sluice::forward
