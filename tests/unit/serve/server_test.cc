// A server whose guest and whose kernel are the test's: signals, the end, and what is watched.
#include "serve/server.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "unit/driver/worker_rig.h"

namespace sluice::serve {
namespace {

// What the server does with it is written down in `heard`.
class FakeGuest final : public Guest {
 public:
  [[nodiscard]] std::string_view program() const override { return "sluice run"; }
  [[nodiscard]] std::span<const int> signals() const override { return {}; }
  [[nodiscard]] std::expected<void, sys::SetupError> begin(const GuestSetting&) override {
    return {};
  }
  [[nodiscard]] std::expected<GuestEnds, sys::SetupError> await(sys::Kernel&) override {
    return GuestEnds{};
  }
  [[nodiscard]] std::expected<void, sys::SetupError> start() override { return {}; }
  void kill() override { heard += "killed "; }
  [[nodiscard]] int signalled() const override { return -1; }
  [[nodiscard]] std::vector<int> descriptors() const override { return fds; }
  void on_ready(std::size_t place) override {
    heard += "ready" + std::to_string(place) + " ";
    if (place == 1) fds[1] = -1;
    if (place == 0 && --news_before_end < 0) status = 3;
  }
  void on_signal(const signalfd_siginfo& info) override {
    heard += "signal" + std::to_string(info.ssi_signo) + " ";
  }
  void on_link_gone() override { heard += "link-gone "; }
  [[nodiscard]] std::optional<int> exit_status() const override { return status; }
  [[nodiscard]] bool goes_on() const override { return lives_on; }
  [[nodiscard]] const std::optional<sys::SetupError>& failure() const override { return none; }

  std::vector<int> fds{50, 51};
  int news_before_end = 0;  // How often place 0 is ready before it ends.
  std::optional<int> status;
  bool lives_on = false;
  std::optional<sys::SetupError> none;
  std::string heard;
};

class ServerTest : public ::testing::Test {
 protected:
  void TearDown() override {
    while (signals.read()) {
    }
    signals.saved().restore();
  }
  void raise(int signal) { ASSERT_EQ(::kill(::getpid(), signal), 0); }
  std::expected<int, sys::SysError> run() {
    driver::WorkerGroup workers(*rig.worker);
    return Server(workers, guest, signals, nullptr).run();
  }

  driver::WorkerRig rig;
  FakeGuest guest;
  sys::SignalFd signals =
      std::move(*sys::SignalFd::open(std::array{SIGTERM, SIGINT, SIGUSR1, SIGUSR2}));
};

TEST_F(ServerTest, ItServesUntilTheGuestHasEnded) {
  guest.news_before_end = 1;
  rig.kernel.script_events({{50, EPOLLIN}});
  rig.kernel.script_events({});
  rig.kernel.script_events({{50, EPOLLIN}});
  const auto status = run();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(*status, 3);
  EXPECT_EQ(guest.heard, "ready0 ready0 ");
  // What the guest sent last is read to the end.
  ASSERT_FALSE(rig.link->depths.empty());
  EXPECT_EQ(rig.link->depths.back(), link::Link::Depth::kToTheEnd);
  EXPECT_GT(rig.link->flushed, 0U);
}

TEST_F(ServerTest, WhatTheGuestGivesUpIsWatchedNoMore) {
  rig.kernel.script_events({{51, EPOLLIN}});
  rig.kernel.script_events({{51, EPOLLIN}, {50, EPOLLIN}});
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(guest.heard, "ready1 ready0 ");
  EXPECT_FALSE(rig.kernel.watched.contains(51));
}

TEST_F(ServerTest, SignalsAreTheGuestsUntilItHasEnded) {
  raise(SIGTERM);
  raise(SIGUSR2);
  rig.kernel.script_events({{signals.fd(), EPOLLIN}});
  rig.kernel.script_events({{50, EPOLLIN}});
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(guest.heard,
            "signal" + std::to_string(SIGUSR2) + " signal" + std::to_string(SIGTERM) + " ready0 ");
}

TEST_F(ServerTest, SignalsThatCameBeforeTheEndAreNotLost) {
  raise(SIGTERM);
  rig.kernel.script_events({{50, EPOLLIN}});
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(guest.heard, "ready0 signal" + std::to_string(SIGTERM) + " ");
}

TEST_F(ServerTest, Usr1ShowsTheCountsAndIsNotTheGuests) {
  raise(SIGUSR1);
  rig.kernel.script_events({{signals.fd(), EPOLLIN}});
  rig.kernel.script_events({{50, EPOLLIN}});
  testing::internal::CaptureStderr();
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "sluice run: 0 flows; dropped or refused:\n  nothing\n");
  EXPECT_EQ(guest.heard, "ready0 ");
}

TEST_F(ServerTest, TheGuestHearsThatItsLinkIsGone) {
  rig.link->gone = true;
  rig.kernel.script_events({{rig.link->fds[0], EPOLLIN}});
  rig.kernel.script_events({{rig.link->fds[0], EPOLLIN}, {50, EPOLLIN}});
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(guest.heard, "link-gone ready0 ");
  EXPECT_EQ(rig.link->depths.size(), 1U);  // Neither by an event nor by the end.
}

TEST_F(ServerTest, AGuestThatGoesOnIsHeardOnceMoreAndNotAgain) {
  guest.lives_on = true;
  rig.kernel.script_events({{50, EPOLLIN}});
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(rig.link->depths.size(), 1U);
  for (const int fd : rig.link->fds) EXPECT_FALSE(rig.kernel.watched.contains(fd));
}

TEST_F(ServerTest, AGuestThatCannotBeWatchedIsNotServed) {
  for (int before = 0; before < 3; ++before) {  // The signals, and both of the guest's.
    for (int i = 0; i < before; ++i) rig.kernel.script("epoll_ctl", 0);
    rig.kernel.script("epoll_ctl", -1, ENOSPC);
    const auto status = run();
    ASSERT_FALSE(status.has_value()) << before;
    EXPECT_EQ(status.error().error, ENOSPC);
  }
  EXPECT_EQ(guest.heard, "");
}

}  // namespace
}  // namespace sluice::serve
