#include "forward/listen/upgrade.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "unit/forward/sockets.h"
#include "unit/sys/loopback.h"

namespace sluice::forward {
namespace {

TEST(UpgradeDescription, RoundTrip) {
  const std::vector<PassedSocket> sockets = {
      {PassedKind::kActivated, 3, "web sockets"},
      {PassedKind::kListener, 17, "tcp:[::1]:80 dev=eth0 keepalive=0/0/0"},
      {PassedKind::kListener, 18, "unix:/run/a%0ab.sock"}};
  EXPECT_EQ(parse_sockets(describe_sockets(sockets)), sockets);
  EXPECT_EQ(parse_sockets(""), std::vector<PassedSocket>{});
}

TEST(UpgradeDescription, WhatIsNotOfThisFormIsRefused) {
  for (const char* text : {"listener", "listener x y", "listener -1 y", "other 3 y", "\n",
                           "listener 3 y\nlistener", "listener 99999999999 y"}) {
    EXPECT_FALSE(parse_sockets(text).has_value()) << text;
  }
  EXPECT_TRUE(parse_upgrade_variable("0000001234 5 6").has_value());
  for (const char* text : {"", "1", "1 2", "1 2 x", "1 -2 3", "1 2 3 4", "a 2 3"}) {
    EXPECT_FALSE(parse_upgrade_variable(text).has_value()) << text;
  }
}

TEST(UpgradeProgram, APathIsTakenAndAnythingElseIsThisProgram) {
  EXPECT_EQ(program_of({"/bin/sh", "x"}), "/bin/sh");
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  EXPECT_EQ(program_of({"sluice"}), self);
  EXPECT_EQ(program_of({"/no/such/file"}), self);
}

class UpgradeProcess : public ::testing::Test {
 protected:
  static std::expected<Upgrade, std::string> start(const std::string& script,
                                                   std::span<const PassedSocket> sockets = {}) {
    sys::SavedSignals signals;
    ::sigemptyset(&signals.mask);
    signals.pipe.sa_handler = SIG_DFL;
    signals.child.sa_handler = SIG_DFL;
    return Upgrade::start({"/bin/sh", "-c", script}, sockets, signals);
  }
  static Upgrade::State wait(Upgrade& upgrade) {
    EXPECT_TRUE(sys::wait_for(upgrade.fd(), POLLIN, 10'000));
    return upgrade.check();
  }
};

TEST_F(UpgradeProcess, GetsItsPidTheDescriptionAndTheSockets) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const std::vector<PassedSocket> sockets = {{PassedKind::kListener, ends[1], "key"}};
  const std::string script = fmt::format(
      "set -- $SLUICE_UPGRADE; [ $1 -eq $$ ] || exit 3;"
      "[ \"$(cat /proc/self/fd/$2)\" = 'listener {0} key' ] || exit 4;"
      "echo hello > /proc/self/fd/{0} || exit 5;"
      "printf R > /proc/self/fd/$3; exec sleep 30",
      ends[1]);
  auto upgrade = start(script, sockets);
  ASSERT_TRUE(upgrade.has_value());
  ASSERT_EQ(wait(*upgrade), Upgrade::State::kServes) << upgrade->failure();
  char text[6] = {};
  EXPECT_EQ(::read(ends[0], text, 5), 5);
  EXPECT_STREQ(text, "hello");
  upgrade->abandon();
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(UpgradeProcess, FailuresAreTold) {
  auto ended = start("exit 3");
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(wait(*ended), Upgrade::State::kFailed);
  EXPECT_EQ(ended->failure(), "it ended with status 3 before it was ready");

  auto killed = start("kill -9 $$");
  ASSERT_TRUE(killed.has_value());
  EXPECT_EQ(wait(*killed), Upgrade::State::kFailed);
  EXPECT_EQ(killed->failure(), "signal 9 ended it before it was ready");

  sys::SavedSignals signals;
  ::sigemptyset(&signals.mask);
  const TestFolder folder;
  const std::string path = folder / "not-a-program";
  UniqueFd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0700)).reset();
  auto broken = Upgrade::start({path}, {}, signals);
  ASSERT_TRUE(broken.has_value());
  EXPECT_EQ(wait(*broken), Upgrade::State::kFailed);
  EXPECT_EQ(broken->failure(), "it could not be executed: Exec format error");

  EXPECT_FALSE(Upgrade::start({}, {}, signals).has_value());
}

TEST_F(UpgradeProcess, OneThatIsLateIsEnded) {
  auto late = start("exec sleep 30");
  ASSERT_TRUE(late.has_value());
  EXPECT_EQ(late->check(), Upgrade::State::kStarting);
  const pid_t pid = late->pid();
  late->abandon();
  EXPECT_EQ(late->failure(), "it was not ready in time");
  EXPECT_NE(::kill(pid, 0), 0) << "gone, and reaped";
}

}  // namespace
}  // namespace sluice::forward
