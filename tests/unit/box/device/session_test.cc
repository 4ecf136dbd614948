#include "box/device/session.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <string>

#include "sandbox/box_sandbox.h"
#include "sandbox/sanitized.h"
#include "unit/box/device/mock_console.h"

namespace sluice::box::test {
namespace {

constexpr std::string_view kSetup = "setup!";

std::string text_of(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    from.reset(ends[0]);
    to.reset(ends[1]);
  }
  [[nodiscard]] std::string read() const {
    ::fcntl(from.get(), F_SETFL, O_NONBLOCK);
    std::string text(1 << 20, '\0');
    const ssize_t length = ::read(from.get(), text.data(), text.size());
    text.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return text;
  }
  // Nobody can write into it any more.
  [[nodiscard]] bool ended() const {
    char byte = 0;
    return ::read(from.get(), &byte, 1) == 0;
  }
  UniqueFd from;
  UniqueFd to;
};

class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);
    auto made = Session::create(*guest_.thread, *guest_.device,
                                {.setup = {kSetup.begin(), kSetup.end()},
                                 .input = input_.from.get(),
                                 .output = output_.to.get(),
                                 .error = error_.to.get()});
    ASSERT_TRUE(made.has_value());
    session_ = std::move(*made);
  }
  // As the guest's first process does.
  void open() {
    guest_.start();
    for (std::uint32_t port = 0; port < 3; ++port) guest_.open(port);
    guest_.give_room(0, 4096);
  }
  void say(const GuestMessage& message) {
    ASSERT_TRUE(guest_.write(0, text_of(emit(message))));
    EXPECT_EQ(guest_.used(0), 1U);
  }
  // What came by the control port, behind the setup.
  std::string heard() {
    guest_.give_room(0, 4096);
    return guest_.read(0);
  }
  [[nodiscard]] bool has_news() const {
    pollfd wait{.fd = session_->news_fd(), .events = POLLIN, .revents = 0};
    return ::poll(&wait, 1, 0) == 1;
  }

  Pipe input_;
  Pipe output_;
  Pipe error_;
  MockConsole guest_;
  std::unique_ptr<Session> session_;
};

TEST_F(SessionTest, TheGuestIsSetUpOnceItsPortIsOpen) {
  guest_.start();
  guest_.give_room(0, 4);
  EXPECT_EQ(guest_.read(0), "");
  guest_.open(0);
  EXPECT_EQ(guest_.read(0), "setu");
  guest_.give_room(0, 100);
  EXPECT_EQ(guest_.read(0), "p!");
}

TEST_F(SessionTest, NothingComesBeforeTheSetup) {
  session_->signal(SIGTERM);
  guest_.settle();
  open();
  EXPECT_EQ(heard(), std::string(kSetup) + text_of(emit(HostMessage(SendSignal{SIGTERM}))));
}

TEST_F(SessionTest, StreamsGoWhereTheyBelong) {
  open();
  guest_.write(1, "out");
  guest_.write(2, "err");
  EXPECT_EQ(output_.read(), "out");
  EXPECT_EQ(error_.read(), "err");
  ASSERT_EQ(::write(input_.to.get(), "in", 2), 2);
  guest_.give_room(1, 100);
  EXPECT_EQ(guest_.read(1), "in");
}

TEST_F(SessionTest, TheEndOfTheInputIsToldWithItsLength) {
  open();
  heard();
  ASSERT_EQ(::write(input_.to.get(), "in", 2), 2);
  input_.to.reset();
  guest_.give_room(1, 100);
  guest_.give_room(1, 100);
  EXPECT_EQ(heard(), text_of(emit(HostMessage(InputEnd{2}))));
}

TEST_F(SessionTest, AnOutputThatNobodyReadsIsToldOnce) {
  open();
  heard();
  error_.from.reset();
  guest_.settle();
  guest_.write(2, "x");
  guest_.write(2, "y");
  EXPECT_EQ(heard(), text_of(emit(HostMessage(OutputClosed{2}))));
}

TEST_F(SessionTest, TheStatusComesWhenAllWasDelivered) {
  open();
  say(Exited{7, 3, 2});
  EXPECT_FALSE(session_->exit_status().has_value());
  guest_.write(1, "abc");
  EXPECT_FALSE(session_->exit_status().has_value());
  session_->clear_news();
  guest_.write(2, "de");
  EXPECT_TRUE(has_news());
  EXPECT_EQ(session_->exit_status(), 7);
  EXPECT_FALSE(session_->failure().has_value());
}

TEST_F(SessionTest, TheStatusWaitsForAnOutputThatIsFull) {
  open();
  const std::string text(30'000, 'x');
  std::size_t sent = 0;
  while (guest_.write(1, text)) sent += text.size();
  say(Exited{0, sent, 0});
  EXPECT_FALSE(session_->exit_status().has_value());
  std::size_t got = 0;
  while (got < sent) {
    const std::size_t some = output_.read().size();
    ASSERT_GT(some, 0U);
    got += some;
    guest_.settle();
  }
  EXPECT_EQ(session_->exit_status(), 0);
}

TEST_F(SessionTest, WhatNobodyReadsHoldsUpNoEnd) {
  open();
  output_.from.reset();
  guest_.write(1, "abc");
  say(Exited{141, 3, 0});
  EXPECT_EQ(session_->exit_status(), 141);
}

// The command wrote into a pipe, and has not heard of it.
TEST_F(SessionTest, OutputThatCannotBeWrittenIsToldAndIsNoSuccess) {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  for (const std::uint8_t status : {std::uint8_t{0}, std::uint8_t{7}}) {
    MockConsole guest;
    const auto session = Session::create(*guest.thread, *guest.device,
                                         {.setup = {kSetup.begin(), kSetup.end()},
                                          .input = input_.from.get(),
                                          .output = output_.to.get(),
                                          .error = full.get()});
    guest.start();
    for (std::uint32_t port = 0; port < 3; ++port) guest.open(port);
    guest.write(2, "abc");
    guest.write(0, text_of(emit(GuestMessage(Exited{status, 0, 3}))));
    ASSERT_TRUE((*session)->failure().has_value());
    EXPECT_EQ((*session)->failure()->status, status == 0 ? 125 : status);
    EXPECT_EQ((*session)->failure()->error.describe(),
              "write to standard error: No space left on device; what the command wrote there is "
              "not complete");
    guest.device->reset();
  }
}

TEST_F(SessionTest, StagesAndTheStartAreToldAndBounded) {
  open();
  for (std::size_t i = 0; i < 2 * Session::kStagesMax; ++i) say(Stage{"kernel", i});
  say(Started{});
  EXPECT_TRUE(has_news());
  session_->clear_news();
  EXPECT_FALSE(has_news());
  EXPECT_EQ(session_->take_stages().size(), Session::kStagesMax);
  EXPECT_TRUE(session_->take_stages().empty());
  EXPECT_TRUE(session_->started());
}

TEST_F(SessionTest, AFailureHasItsWordsAndItsStatus) {
  open();
  say(Failed{127, "execute nothing", ENOENT, ""});
  const auto failure = session_->failure();
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->status, 127);
  EXPECT_EQ(failure->error.describe(), "execute nothing: No such file or directory");
  say(Exited{0, 0, 0});
  EXPECT_FALSE(session_->exit_status().has_value());
}

TEST_F(SessionTest, WarningsAndStopsAreTold) {
  open();
  say(Warned{"mount /x", EPERM, "do without"});
  say(Stopped{SIGTSTP});
  const auto warnings = session_->take_warnings();
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0].describe(), "mount /x: Operation not permitted; do without");
  EXPECT_EQ(session_->take_stop(), SIGTSTP);
  EXPECT_FALSE(session_->take_stop().has_value());
}

TEST_F(SessionTest, AnOutputThatTheGuestEndedIsEndedHere) {
  open();
  say(OutputEnd{kStreamPort, 3});
  EXPECT_EQ(output_.read(), "");
  EXPECT_FALSE(output_.ended());
  guest_.write(1, "abc");
  EXPECT_EQ(output_.read(), "abc");
  EXPECT_TRUE(output_.ended());
  guest_.write(1, "nobody's");
  EXPECT_EQ(guest_.used(1), 2U);
  say(Exited{0, 11, 0});
  EXPECT_EQ(session_->exit_status(), 0);
}

TEST_F(SessionTest, AGuestThatSpeaksNonsenseFails) {
  open();
  guest_.write(0, "what is this, then?");
  ASSERT_TRUE(session_->failure().has_value());
  EXPECT_EQ(session_->failure()->status, 125);
  for (int i = 0; i < 100; ++i) guest_.write(0, std::string(1000, 'x'));
  EXPECT_TRUE(session_->failure().has_value());
}

TEST_F(SessionTest, OrdersReachTheGuest) {
  open();
  heard();
  session_->signal(SIGUSR2);
  session_->power_off();
  session_->window_changed();  // Of no terminal.
  guest_.settle();
  EXPECT_EQ(heard(), text_of(emit(HostMessage(SendSignal{SIGUSR2}))) +
                         text_of(emit(HostMessage(PowerOff{}))));
}

// However many come while the guest does not read.
TEST_F(SessionTest, SignalsWithoutEndMakeNothingGrowWithoutEnd) {
  guest_.start();
  for (int i = 0; i < 40'000; ++i) session_->signal(SIGUSR2);
  guest_.settle();
  guest_.open(0);
  std::size_t got = 0;
  for (int i = 0; i < 4; ++i) {
    guest_.give_room(0, 65'536);
    got += guest_.read(0).size();
  }
  EXPECT_GT(got, 60'000U);
  EXPECT_LT(got, 70'000U);
}

// Whatever a session does its thread may do, once it gave up all else.
TEST_F(SessionTest, WorksInAThreadThatIsConfined) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!guest_.thread->start([] {
          if (sandbox::kSanitized) return std::expected<void, sys::SetupError>();
          return sandbox::confine_device_thread(sandbox::SeccompMode::kKill);
        })) {
      ::_exit(1);
    }
    guest_.threaded = true;
    open();
    (void)!::write(input_.to.get(), "in", 2);
    input_.to.reset();
    guest_.give_room(1, 100);
    guest_.write(1, "out");
    error_.from.reset();
    guest_.write(2, "err");
    say(OutputEnd{kStreamPort, 3});
    session_->signal(SIGTERM);
    session_->window_changed();
    session_->resume();
    guest_.settle();
    if (guest_.read(1) != "in" || output_.read() != "out" || !output_.ended()) ::_exit(2);
    say(Exited{7, 3, 3});
    guest_.device->reset();
    guest_.thread->stop();
    ::_exit(session_->exit_status() == 7 ? 0 : 3);
  }
  // No end of a pipe is ours, too.
  session_.reset();
  for (UniqueFd* const fd : {&input_.to, &output_.to, &error_.from}) fd->reset();
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// A pseudo-terminal whose process has a session: 0 where it did as it should.
int use_terminal(int terminal) {
  ::setsid();
  if (::ioctl(terminal, TIOCSCTTY, 0) != 0) return 1;
  const auto is_raw = [&] {
    termios settings{};
    return ::tcgetattr(terminal, &settings) == 0 && (settings.c_lflag & ICANON) == 0;
  };
  MockConsole guest;
  auto session = Session::create(
      *guest.thread, *guest.device,
      {.setup = {'x'}, .input = terminal, .output = terminal, .error = terminal, .terminal = true});
  if (!session || is_raw()) return 2;
  const auto confine = [] {
    if (sandbox::kSanitized) return std::expected<void, sys::SetupError>();
    return sandbox::confine_device_thread(sandbox::SeccompMode::kKill);
  };
  if (!guest.thread->start(confine)) return 3;
  guest.threaded = true;
  // Until there is a command, whose terminal it becomes, Ctrl-C is for the boot.
  (*session)->suspend();
  (*session)->resume();
  if (is_raw()) return 4;
  guest.start();
  for (std::uint32_t port = 0; port < 3; ++port) guest.open(port);
  guest.give_room(0, 4096);
  if (guest.read(0) != "x" + text_of(emit(HostMessage(Window{33, 99})))) return 6;
  guest.write(0, text_of(emit(GuestMessage(Started{}))));
  if (!is_raw()) return 5;
  (*session)->suspend();
  if (is_raw()) return 8;
  (*session)->resume();
  if (!is_raw()) return 9;
  guest.give_room(1, 100);
  guest.thread->stop();
  (*session).reset();
  return is_raw() ? 7 : 0;
}

TEST_F(SessionTest, ATerminalIsTheCommandsUntilWeStopOrEnd) {
  const UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(master.valid() && ::grantpt(master.get()) == 0 && ::unlockpt(master.get()) == 0);
  const UniqueFd slave(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(slave.valid());
  const winsize size{.ws_row = 33, .ws_col = 99, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(::ioctl(master.get(), TIOCSWINSZ, &size), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(use_terminal(slave.get()));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace sluice::box::test
