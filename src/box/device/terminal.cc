#include "box/device/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace sluice::box {
namespace {

constexpr std::uint8_t kRaw = 'r';
constexpr std::uint8_t kAsItWas = 's';

// Without job control's say: whether we are in the foreground was asked, and a process in a session
// of its own is not asked (tty_check_change() of Linux).
[[noreturn]] void keep(UniqueFd channel, int terminal, const termios& before) {
  termios raw = before;
  ::cfmakeraw(&raw);
  std::vector<UniqueFd> kept;
  kept.push_back(std::move(channel));
  kept.emplace_back(::fcntl(terminal, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  kept = sandbox::stand_alone(std::move(kept), "sluice-term", sandbox::SeccompMode::kKill,
                              sandbox::ParentsEnd::kIsSeen);
  const int orders = kept[0].get();
  const int fd = kept[1].get();
  std::uint8_t order = 0;
  while (::read(orders, &order, 1) == 1) {
    ::tcsetattr(fd, TCSANOW, order == kRaw ? &raw : &before);
    if (::write(orders, &order, 1) != 1) break;
  }
  ::tcsetattr(fd, TCSANOW, &before);
  ::_exit(0);
}

}  // namespace

std::optional<WindowSize> window_of(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0) return std::nullopt;
  return WindowSize{size.ws_row, size.ws_col};
}

std::expected<Terminal, sys::SetupError> Terminal::open(int fd) {
  termios before{};
  if (::tcgetattr(fd, &before) != 0) {
    return std::unexpected(sys::SetupError{"read the terminal's settings", errno, ""});
  }
  auto keeper = sandbox::HelperProcess::start(
      "start a process that keeps the terminal", SOCK_STREAM,
      [&](UniqueFd channel) { keep(std::move(channel), fd, before); });
  if (!keeper) return std::unexpected(keeper.error());
  Terminal terminal(fd, ::getpgrp(), std::move(*keeper));
  terminal.resume();
  return terminal;
}

void Terminal::suspend() { order(kAsItWas); }

void Terminal::resume() {
  if (::tcgetpgrp(fd_) == group_) order(kRaw);
}

void Terminal::order(std::uint8_t what) {
  // One that was killed, by the system in need, leaves the terminal as it is.
  if (::send(keeper_.channel(), &what, 1, MSG_NOSIGNAL) != 1) return;
  (void)::recv(keeper_.channel(), &what, 1, 0);
}

}  // namespace sluice::box
