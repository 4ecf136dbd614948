#include "box/device/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

namespace sluice::box {
namespace {

constexpr std::uint8_t kTake = 't';
constexpr std::uint8_t kGiveBack = 'g';

// The settings that a terminal had before it was made raw, while it is.
class Settings {
 public:
  explicit Settings(int terminal) : terminal_(terminal) {}

  void take() {
    if (before_) return;
    termios now{};
    if (::tcgetattr(terminal_, &now) != 0) return;
    before_ = now;
    ::cfmakeraw(&now);
    ::tcsetattr(terminal_, TCSANOW, &now);
  }
  // Another program may have it in the meantime, with settings of its own: only what was taken.
  void give_back() {
    if (before_) ::tcsetattr(terminal_, TCSANOW, &*before_);
    before_.reset();
  }

 private:
  int terminal_;
  std::optional<termios> before_;
};

// Without job control's say: whether we are in the foreground was asked, and a process in a session
// of its own is not asked (tty_check_change() of Linux).
[[noreturn]] void keep(UniqueFd channel, int terminal) {
  std::vector<UniqueFd> kept;
  kept.push_back(std::move(channel));
  kept.emplace_back(::fcntl(terminal, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  kept = sandbox::stand_alone(std::move(kept), "sluice-term", sandbox::SeccompMode::kKill,
                              sandbox::ParentsEnd::kIsSeen);
  const int orders = kept[0].get();
  Settings settings(kept[1].get());
  std::uint8_t order = 0;
  while (::read(orders, &order, 1) == 1) {
    if (order == kTake) {
      settings.take();
    } else {
      settings.give_back();
    }
    if (::write(orders, &order, 1) != 1) break;
  }
  settings.give_back();
  ::_exit(0);
}

}  // namespace

std::optional<WindowSize> window_of(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0) return std::nullopt;
  return WindowSize{size.ws_row, size.ws_col};
}

std::expected<Terminal, sys::SetupError> Terminal::open(int fd) {
  if (::isatty(fd) == 0) {
    return std::unexpected(sys::SetupError{"read the terminal's settings", errno, ""});
  }
  auto keeper =
      sandbox::HelperProcess::start("start a process that keeps the terminal", SOCK_STREAM,
                                    [&](UniqueFd channel) { keep(std::move(channel), fd); });
  if (!keeper) return std::unexpected(keeper.error());
  return Terminal(fd, ::getpgrp(), std::move(*keeper));
}

void Terminal::take() {
  if (::tcgetpgrp(fd_) == group_) order(kTake);
}

void Terminal::give_back() { order(kGiveBack); }

void Terminal::order(std::uint8_t what) {
  // One that was killed, by the system in need, leaves the terminal as it is.
  if (::send(keeper_.channel(), &what, 1, MSG_NOSIGNAL) != 1) return;
  (void)::recv(keeper_.channel(), &what, 1, 0);
}

}  // namespace sluice::box
