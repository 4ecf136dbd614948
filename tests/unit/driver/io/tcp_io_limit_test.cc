// Writes to hosts within a limit, between an engine and a kernel that takes all it is given.
#include <gtest/gtest.h>

#include "policy/limits/meter.h"
#include "unit/driver/io/tcp_io_fixture.h"

namespace sluice::driver::test {
namespace {

using namespace std::chrono_literals;
using policy::TrafficLimit;

class TcpIoLimit : public TcpIoTest {
 protected:
  void with(const TrafficLimit& limit) {
    policy_ = policy::EgressPolicy::compile({.limit = limit}).value();
    restart({.egress = &*policy_});
    io.emplace(IoContext{kernel, *loop_, outbound_}, tcp());
  }
  // The policy changes.
  void change(const TrafficLimit& limit) {
    auto next = policy::EgressPolicy::compile({.limit = limit}).value();
    engine().set_policy(next, {now, sink});
    settle();
    io->follow_limits({now, sink});
    settle();
    policy_ = std::move(next);
  }
  // What the host was handed.
  [[nodiscard]] std::string handed_on() const {
    std::string all;
    for (const std::string& one : kernel.sent) all += one;
    return all;
  }
  [[nodiscard]] static std::string text(std::size_t size) {
    const Bytes bytes = flow::test::stream(0, size);
    return {bytes.begin(), bytes.end()};
  }
  // Until there is nothing to do before `until`.
  void run_until(Instant until) {
    while (std::min(io->next_wakeup(), engine().next_wakeup()) <= until) {
      now = std::max(now, std::min(io->next_wakeup(), engine().next_wakeup()));
      engine().on_timers({now, sink});
      io->on_time({now, sink});
      settle();
    }
    now = until;
  }
  [[nodiscard]] std::uint64_t used() { return engine().meters().of_run()->use().to_host.used; }

 private:
  std::optional<policy::EgressPolicy> policy_;
};

TEST_F(TcpIoLimit, AQuotaIsHandedOnToTheByteAndEndsTheFlow) {
  with({.to_host = {.bytes = 1000}});
  Connection c = open();
  send_bytes(c, 600);
  EXPECT_EQ(used(), 600U);
  kernel.closed.clear();
  send_bytes(c, 900);
  EXPECT_EQ(handed_on(), text(1000));
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_EQ(kernel.closed.size(), 1U);
  EXPECT_FALSE(io->has_late_resets());
  const auto summary = take<flow::ReportFlow>().summary;
  EXPECT_EQ(summary.verdict, policy::Verdict::kQuota);
  EXPECT_EQ(summary.bytes_to_host, 1000U);
}

TEST_F(TcpIoLimit, AQuotaThatIsJustEnoughEndsNothing) {
  with({.to_host = {.bytes = 1000}});
  Connection c = open();
  send_bytes(c, 1000);
  EXPECT_EQ(handed_on(), text(1000));
  EXPECT_NE(flow(c), nullptr);
  burst(fin(c));
  EXPECT_EQ(kernel.count("shutdown"), 1U);
}

TEST_F(TcpIoLimit, ARateLetsBytesThroughInTimeAndInOrder) {
  with({.to_host = {.rate = 1'000'000}});  // A burst of 50,000 bytes.
  Connection c = open();
  send_bytes(c, 60'000);
  EXPECT_EQ(handed_on(), text(50'000));
  EXPECT_EQ(used(), 50'000U);
  const Instant begin = now;
  run_until(begin + 5ms);
  EXPECT_EQ(handed_on().size(), 50'000U) << "a few bytes are not worth a call";
  run_until(begin + 20ms);
  EXPECT_EQ(handed_on(), text(60'000));
  EXPECT_EQ(io->next_wakeup(), kNever);
  EXPECT_NE(flow(c), nullptr);
}

TEST_F(TcpIoLimit, ASocketThatIsFullIsWaitedForAsEver) {
  with({.to_host = {.rate = 1'000'000}});
  Connection c = open();
  kernel.script("sendmsg", -1, EAGAIN);
  kernel.script("sendmsg", -1, EAGAIN);
  send_bytes(c, 1000);
  kernel.sent.clear();
  EXPECT_EQ(used(), 0U) << "what did not go is not counted";
  event(EPOLLOUT);
  EXPECT_EQ(handed_on(), text(1000));
  EXPECT_EQ(used(), 1000U);
}

TEST_F(TcpIoLimit, AGuestsResetTakesBackWhatALimitHoldsBack) {
  with({.to_host = {.rate = 1'000'000}});
  Connection c = open();
  send_bytes(c, 60'000);
  kernel.closed.clear();
  burst(rst(c));
  EXPECT_EQ(kernel.closed.size(), 1U);
  EXPECT_FALSE(io->has_late_resets()) << "a limit is not got round by a reset";
  run_until(now + 1s);
  EXPECT_EQ(handed_on().size(), 50'000U);
}

TEST_F(TcpIoLimit, WhatIsHeldBackFollowsAChangeOfThePolicy) {
  with({.to_host = {.rate = 1'000'000}});
  Connection c = open();
  send_bytes(c, 60'000);
  change({});
  EXPECT_EQ(handed_on(), text(60'000));
  EXPECT_NE(flow(c), nullptr);
  send_bytes(c, 1000);
  EXPECT_EQ(handed_on(), text(61'000));
}

}  // namespace
}  // namespace sluice::driver::test
