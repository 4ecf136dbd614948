#include "serve/box/box_guest.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

namespace sluice::serve {
namespace {

// A box whose news are the test's.
struct Script {
  std::vector<BoxStage> stages;
  bool started = false;
  std::optional<int> status;
  std::optional<sys::SetupError> failure;
  std::string console;
  std::vector<int> signals;
  int windows = 0;
  int suspends = 0;
  int resumes = 0;
  int stops = 0;
};

class ScriptedParts final : public BoxParts {
 public:
  explicit ScriptedParts(Script& script) : script_(script) {}

  std::vector<std::unique_ptr<link::Link>> links() override { return {}; }
  std::expected<void, sys::SetupError> start() override { return {}; }
  void stop() override { ++script_.stops; }
  int news_fd() const override { return 100; }
  void clear_news() override {}
  std::vector<sys::SetupError> take_warnings() override { return {}; }
  bool take_stop() override { return false; }
  std::vector<BoxStage> take_stages() override { return std::exchange(script_.stages, {}); }
  bool has_started() const override { return script_.started; }
  std::optional<int> status() const override { return script_.status; }
  std::optional<sys::SetupError> failure() const override { return script_.failure; }
  int ended_fd() const override { return 101; }
  std::string why_ended() const override { return "the machine was reset"; }
  std::string console() const override { return script_.console; }
  std::vector<int> file_servers() const override { return {102, 103}; }
  sys::SetupError file_failure() const override { return {"virtiofsd has ended", 0, ""}; }
  void signal(int number) override { script_.signals.push_back(number); }
  void window_changed() override { ++script_.windows; }
  void suspend() override { ++script_.suspends; }
  void resume() override { ++script_.resumes; }

 private:
  Script& script_;
};

class BoxGuestTest : public testing::Test {
 protected:
  BoxGuestTest() {
    EXPECT_TRUE(guest_.begin({.network = network_,
                              .resolver_options = options_,
                              .fast_path = policy::FastPathUse::kOff,
                              .workers = 1,
                              .signals = signals_,
                              .descriptor_limit = std::nullopt}));
    EXPECT_TRUE(guest_.start());
  }
  void signal(int number) {
    signalfd_siginfo info{};
    info.ssi_signo = static_cast<std::uint32_t>(number);
    guest_.on_signal(info);
  }

  flow::GuestNetwork network_;
  std::vector<std::string> options_;
  sys::SavedSignals signals_;
  Script script_;
  BoxGuest guest_{
      BoxPlan{},
      [this](const BoxPlan&,
             const GuestSetting&) -> std::expected<std::unique_ptr<BoxParts>, sys::SetupError> {
        return std::make_unique<ScriptedParts>(script_);
      }};
};

constexpr std::size_t kNews = 0;
constexpr std::size_t kMachine = 1;
constexpr std::size_t kBootTimer = 2;
constexpr std::size_t kFiles = 3;

TEST_F(BoxGuestTest, EndsWithTheCommand) {
  script_.started = true;
  guest_.on_ready(kNews);
  EXPECT_FALSE(guest_.exit_status());
  script_.status = 7;
  guest_.on_ready(kNews);
  EXPECT_EQ(guest_.exit_status(), 7);
  EXPECT_FALSE(guest_.failure());
  // The terminal is ours again, for what we say and keys that end us, and stays so.
  EXPECT_EQ(script_.suspends, 1);
  signal(SIGCONT);
  EXPECT_EQ(script_.resumes, 0);
  // What its kernel still sends counts, so the machine runs on.
  EXPECT_FALSE(guest_.goes_on());
  EXPECT_EQ(script_.stops, 0);
  guest_.end_service();
  EXPECT_EQ(script_.stops, 1);
}

TEST_F(BoxGuestTest, ACommandThatCannotStartIsTold) {
  script_.status = 127;
  script_.failure = sys::SetupError{"nothere", ENOENT, ""};
  guest_.on_ready(kNews);
  EXPECT_EQ(guest_.exit_status(), 127);
  ASSERT_TRUE(guest_.failure());
  EXPECT_EQ(guest_.failure()->describe(), "nothere: No such file or directory");
}

TEST_F(BoxGuestTest, AMachineThatEndsByItselfHasTheLastWord) {
  script_.console = "old\r\nunknown-block(0,0)\r\n---[ end ]\r\n";
  guest_.on_ready(kMachine);
  EXPECT_EQ(guest_.exit_status(), 125);
  ASSERT_TRUE(guest_.failure());
  EXPECT_EQ(guest_.failure()->describe(),
            "the machine was reset; it said: old | unknown-block(0,0) | ---[ end ]");
}

TEST_F(BoxGuestTest, WhatAKernelSaidDoesNotReachATerminalRaw) {
  script_.console = "\x1b[31mred\n";
  guest_.on_ready(kMachine);
  EXPECT_EQ(guest_.failure()->describe(), "the machine was reset; it said: ?[31mred");
}

TEST_F(BoxGuestTest, APanicIsToldByItsLine) {
  script_.console = "old\r\n[ 1.0] Kernel panic - not syncing: why\r\nRAX: 0\r\n---[ end ]\r\n";
  guest_.on_ready(kMachine);
  EXPECT_EQ(guest_.failure()->describe(),
            "the machine was reset; it said: Kernel panic - not syncing: why");
}

TEST_F(BoxGuestTest, AStatusThatCameBeforeTheMachinesEndCounts) {
  script_.status = 3;
  guest_.on_ready(kMachine);
  EXPECT_EQ(guest_.exit_status(), 3);
  EXPECT_FALSE(guest_.failure());
}

TEST_F(BoxGuestTest, AFileServerThatEndsEndsTheBox) {
  guest_.on_ready(kFiles + 1);
  EXPECT_EQ(guest_.exit_status(), 125);
  EXPECT_EQ(guest_.failure()->describe(), "virtiofsd has ended");
  // A later status is none.
  script_.status = 0;
  guest_.on_ready(kNews);
  EXPECT_EQ(guest_.exit_status(), 125);
}

TEST_F(BoxGuestTest, ABootThatTakesForEverEnds) {
  script_.console = "stuck";
  guest_.on_ready(kBootTimer);
  EXPECT_EQ(guest_.exit_status(), 125);
  EXPECT_EQ(guest_.failure()->describe(),
            "the machine has not started the command in 300 s; it said: stuck");
}

TEST_F(BoxGuestTest, ACommandThatHasStartedMayTakeItsTime) {
  script_.started = true;
  guest_.on_ready(kNews);
  guest_.on_ready(kBootTimer);
  EXPECT_FALSE(guest_.exit_status());
  EXPECT_EQ(guest_.descriptors()[kBootTimer], -1);
}

TEST_F(BoxGuestTest, NobodyIsWatchedForTheEndTwice) {
  const std::vector<int> before = guest_.descriptors();
  ASSERT_EQ(before.size(), kFiles + 2);
  EXPECT_EQ(before[kNews], 100);
  EXPECT_EQ(before[kMachine], 101);
  EXPECT_GE(before[kBootTimer], 0);
  EXPECT_EQ(before[kFiles], 102);
  guest_.on_ready(kMachine);
  EXPECT_EQ(guest_.descriptors(), (std::vector<int>{100, -1, -1, -1, -1}));
}

TEST_F(BoxGuestTest, SignalsAreTheCommandsOnceItHasStarted) {
  script_.started = true;
  guest_.on_ready(kNews);
  signal(SIGUSR2);
  signal(SIGTERM);
  signal(SIGINT);
  signal(SIGWINCH);
  EXPECT_EQ(script_.signals, (std::vector<int>{SIGUSR2, SIGTERM, SIGINT}));
  EXPECT_EQ(script_.windows, 1);
  EXPECT_FALSE(guest_.exit_status());
}

TEST_F(BoxGuestTest, StopsAndContinuesAreTheCommands) {
  script_.started = true;
  guest_.on_ready(kNews);
  signal(SIGTSTP);
  EXPECT_EQ(script_.resumes, 0);
  signal(SIGCONT);
  EXPECT_EQ(script_.resumes, 1);
  EXPECT_EQ(script_.signals, (std::vector<int>{SIGTSTP, SIGCONT}));
}

TEST_F(BoxGuestTest, AMachineThatBootsIsEndedByOne) {
  signal(SIGUSR2);
  EXPECT_FALSE(guest_.exit_status());
  signal(SIGINT);
  EXPECT_EQ(guest_.exit_status(), 130);
  EXPECT_FALSE(guest_.failure());
}

TEST_F(BoxGuestTest, TheThirdTerminationEndsWhatDoesNotAnswer) {
  script_.started = true;
  guest_.on_ready(kNews);
  signal(SIGTERM);
  signal(SIGTERM);
  EXPECT_FALSE(guest_.exit_status());
  signal(SIGTERM);
  EXPECT_EQ(guest_.exit_status(), 143);
}

TEST(BoxGuestSignals, ThoseThatWeWereStartedToIgnoreAreNotForTheCommand) {
  const auto before = ::signal(SIGHUP, SIG_IGN);
  const BoxGuest guest{BoxPlan{}};
  ::signal(SIGHUP, before);
  const std::span<const int> signals = guest.signals();
  EXPECT_EQ(std::ranges::count(signals, SIGHUP), 0);
  EXPECT_EQ(std::ranges::count(signals, SIGTERM), 1);
}

TEST_F(BoxGuestTest, InterruptsMayComeAsOftenAsOneLikes) {
  script_.started = true;
  guest_.on_ready(kNews);
  for (int i = 0; i < 10; ++i) signal(SIGINT);
  EXPECT_FALSE(guest_.exit_status());
  EXPECT_EQ(script_.signals.size(), 10U);
}

}  // namespace
}  // namespace sluice::serve
