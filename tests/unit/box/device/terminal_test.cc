#include "box/device/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <functional>

namespace sluice::box {
namespace {

// A pseudo-terminal, and a process whose terminal it is.
class TerminalTest : public testing::Test {
 protected:
  void SetUp() override {
    master_.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(master_.valid());
    ASSERT_EQ(::grantpt(master_.get()), 0);
    ASSERT_EQ(::unlockpt(master_.get()), 0);
    slave_.reset(::open(::ptsname(master_.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(slave_.valid());
    ASSERT_EQ(::pipe2(orders_.data(), O_CLOEXEC), 0);
  }
  void TearDown() override {
    for (const int fd : orders_) ::close(fd);
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  [[nodiscard]] bool is_raw() const {
    termios settings{};
    EXPECT_EQ(::tcgetattr(slave_.get(), &settings), 0);
    return (settings.c_lflag & (ICANON | ECHO | ISIG)) == 0;
  }
  void change(const std::function<void(termios&)>& what) const {
    termios settings{};
    ASSERT_EQ(::tcgetattr(slave_.get(), &settings), 0);
    what(settings);
    ASSERT_EQ(::tcsetattr(slave_.get(), TCSANOW, &settings), 0);
  }
  // Within what any machine needs.
  [[nodiscard]] bool becomes_raw(bool raw) const {
    for (int i = 0; i < 2000 && is_raw() != raw; ++i) {
      const timespec pause{.tv_sec = 0, .tv_nsec = 10'000'000};
      ::nanosleep(&pause, nullptr);
    }
    return is_raw() == raw;
  }
  // In the process: goes on when next() was called.
  using Wait = std::function<void()>;
  void in_terminal(const std::function<void(Terminal&, const Wait&)>& work) {
    child_ = ::fork();
    ASSERT_GE(child_, 0);
    if (child_ != 0) return;
    ::setsid();
    ::ioctl(slave_.get(), TIOCSCTTY, 0);
    const Wait wait = [this] {
      char byte = 0;
      if (::read(orders_[0], &byte, 1) != 1) ::_exit(1);
    };
    {
      auto terminal = Terminal::open(slave_.get());
      if (!terminal) ::_exit(1);
      terminal->take();
      wait();
      work(*terminal, wait);
    }
    wait();
    ::_exit(0);
  }
  void next() { ASSERT_EQ(::write(orders_[1], "x", 1), 1); }

  UniqueFd master_;
  UniqueFd slave_;
  std::array<int, 2> orders_{};
  pid_t child_ = -1;
};

TEST_F(TerminalTest, IsRawUntilItEnds) {
  in_terminal([](Terminal&, const Wait&) {});
  EXPECT_TRUE(becomes_raw(true));
  next();
  EXPECT_TRUE(becomes_raw(false));
}

TEST_F(TerminalTest, IsAsItWasWhileWeAreStopped) {
  in_terminal([](Terminal& terminal, const Wait& wait) {
    terminal.give_back();
    wait();
    terminal.take();
    wait();
  });
  EXPECT_TRUE(becomes_raw(true));
  next();
  EXPECT_TRUE(becomes_raw(false));
  next();
  EXPECT_TRUE(becomes_raw(true));
}

TEST_F(TerminalTest, IsRestoredAlsoWhenWeAreKilled) {
  in_terminal([](Terminal&, const Wait& wait) { wait(); });
  EXPECT_TRUE(becomes_raw(true));
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
  child_ = -1;
  EXPECT_TRUE(becomes_raw(false));
}

TEST_F(TerminalTest, ThatIsNotOurForegroundsIsLeftAlone) {
  auto terminal = Terminal::open(slave_.get());
  ASSERT_TRUE(terminal.has_value());
  terminal->take();
  EXPECT_FALSE(is_raw());
  // Another program has it by now, and is raw itself.
  change([](termios& settings) { ::cfmakeraw(&settings); });
  terminal->give_back();
  EXPECT_TRUE(is_raw());
  terminal = std::unexpected(sys::SetupError{});
  EXPECT_TRUE(is_raw());
}

TEST_F(TerminalTest, IsGivenBackAsItWasWhenItWasTaken) {
  in_terminal([](Terminal& terminal, const Wait& wait) {
    terminal.give_back();
    wait();
    terminal.take();
    wait();
  });
  EXPECT_TRUE(becomes_raw(true));
  next();
  EXPECT_TRUE(becomes_raw(false));
  change([](termios& settings) { settings.c_cc[VERASE] = 'E'; });
  next();
  EXPECT_TRUE(becomes_raw(true));
  next();
  EXPECT_TRUE(becomes_raw(false));
  change([](termios& settings) { EXPECT_EQ(settings.c_cc[VERASE], 'E'); });
}

TEST_F(TerminalTest, AnythingElseIsRefused) {
  EXPECT_FALSE(Terminal::open(orders_[0]).has_value());
  EXPECT_FALSE(window_of(orders_[0]).has_value());
}

TEST_F(TerminalTest, TellsItsWindow) {
  const winsize size{.ws_row = 33, .ws_col = 99, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(::ioctl(master_.get(), TIOCSWINSZ, &size), 0);
  EXPECT_EQ(window_of(slave_.get()), (WindowSize{33, 99}));
}

}  // namespace
}  // namespace sluice::box
