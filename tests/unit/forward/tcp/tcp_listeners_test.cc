// Listeners over a kernel that fails as scripted.
#include "forward/tcp/tcp_listeners.h"

#include <gtest/gtest.h>

#include <vector>

#include "unit/sys/fake_kernel.h"

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;

class TcpListenersTest : public testing::Test, private AcceptSink {
 protected:
  TcpListenersTest() {
    handle = *listeners.add({.serves = {}, .socket = sys::KernelFd(kernel, 7)});
  }
  // The next calls of accept give these errors, or 0: a client.
  void script(std::initializer_list<int> errors) {
    int fd = 50;
    for (const int error : errors) kernel.script("accept4", error == 0 ? fd++ : -1, error);
  }
  void event() { listeners.on_event(EventTag::of(EventKind::kListener, handle)); }
  // Whether a pause ends meanwhile.
  bool resumes_within(Duration time) {
    context.now += time;
    if (timers.pop_due(context.now) == nullptr) return false;
    listeners.on_timer();
    return true;
  }

  sys::FakeKernel kernel;
  sys::EventLoop loop = sys::EventLoop::create(kernel).value();
  Instant now{100s};
  TimerWheel timers{now};
  relay::Pools pools{kernel, {}};
  host::DatagramScratch scratch;
  SessionLog log;
  WorkerContext context{kernel, loop, timers, pools, scratch, log, now};
  TcpListeners listeners{context, *this};
  SlabHandle handle;
  std::vector<int> clients;  // Their descriptors.

 private:
  void accepted(const ListenerRule&, AcceptedClient client) override {
    clients.push_back(client.socket.get());
  }
};

TEST_F(TcpListenersTest, ALostConnectionCostsNoOther) {
  script({ECONNABORTED, EPERM, 0});
  event();
  EXPECT_EQ(clients, std::vector{50});
  EXPECT_FALSE(resumes_within(10s));
}

TEST_F(TcpListenersTest, WithoutADescriptorAllListenersPause) {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    script({error, 0});
    testing::internal::CaptureStderr();
    event();
    (void)testing::internal::GetCapturedStderr();
    EXPECT_TRUE(clients.empty());
    EXPECT_EQ(kernel.last("epoll_ctl")->first, EPOLL_CTL_MOD);
    EXPECT_FALSE(resumes_within(host::kAcceptPause - 10ms)) << error;
    EXPECT_TRUE(resumes_within(20ms)) << error;
    event();
    EXPECT_EQ(clients, std::vector{50});
    clients.clear();
  }
}

TEST_F(TcpListenersTest, AListenerThatCannotBeWatchedAgainIsTriedAgain) {
  script({EMFILE, 0});
  testing::internal::CaptureStderr();
  event();
  (void)testing::internal::GetCapturedStderr();
  kernel.script("epoll_ctl", -1, ENOMEM);
  ASSERT_TRUE(resumes_within(host::kAcceptPause + 10ms));
  EXPECT_EQ(kernel.watched.at(7).events, 0U);
  EXPECT_TRUE(resumes_within(host::kAcceptPause + 10ms));
  EXPECT_EQ(kernel.watched.at(7).events, EPOLLIN);
  EXPECT_FALSE(resumes_within(10s));
}

TEST_F(TcpListenersTest, AnErrorOfTheListenerEndsTheTurnOnly) {
  for (const int error : {EINVAL, EBADF, EACCES}) {
    script({error, 0});
    event();
    EXPECT_TRUE(clients.empty());
    EXPECT_FALSE(resumes_within(10s)) << error;
    event();
    EXPECT_EQ(clients.size(), 1U);
    clients.clear();
  }
}

TEST_F(TcpListenersTest, ClosingLeavesNobodyBehind) {
  std::vector<int> none;
  script({0, 0, 0, 0, 0, EAGAIN});
  listeners.close(handle);
  EXPECT_EQ(clients.size(), 5U);
  EXPECT_EQ(kernel.count("accept4"), 6U);
}

}  // namespace
}  // namespace sluice::forward
