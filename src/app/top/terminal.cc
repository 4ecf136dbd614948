#include "app/top/terminal.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace sluice::app {
namespace {

constexpr std::string_view kBegin = "\x1b[?1049h\x1b[?25l";  // The other screen, no cursor.
constexpr std::string_view kEnd = "\x1b[?25h\x1b[?1049l";

[[nodiscard]] bool write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// It interrupts a wait, and does nothing else.
void on_signal(int /*number*/) {}

}  // namespace

std::optional<Terminal> Terminal::open() {
  termios before{};
  if (::isatty(STDOUT_FILENO) == 0 || ::tcgetattr(STDIN_FILENO, &before) != 0) return std::nullopt;
  termios raw = before;
  // Signals of keys stay: Ctrl-C comes as a letter, as the screen has to be put back.
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  if (::tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) return std::nullopt;
  struct sigaction action{};
  action.sa_handler = on_signal;
  ::sigaction(SIGWINCH, &action, nullptr);
  Terminal terminal(before);
  (void)write_all(kBegin);
  return terminal;
}

Terminal::Terminal(Terminal&& other) noexcept
    : before_(other.before_),
      owned_(std::exchange(other.owned_, false)),
      typed_(std::move(other.typed_)) {}

Terminal::~Terminal() {
  if (!owned_) return;
  (void)write_all(kEnd);
  (void)::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

TopSize Terminal::size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {.columns = size.ws_col, .lines = size.ws_row};
}

bool Terminal::draw(std::string_view screen) {
  std::string text = "\x1b[H";
  while (!screen.empty()) {
    const std::string_view line = screen.substr(0, screen.find('\n'));
    screen.remove_prefix(std::min(line.size() + 1, screen.size()));
    text += line;
    text += "\x1b[K";  // What stood behind it is gone.
    if (!screen.empty()) text += "\r\n";
  }
  return write_all(text + "\x1b[J");
}

Terminal::Key Terminal::next_key() {
  constexpr char kCtrlC = 3;
  constexpr char kDelete = 127;
  const char first = typed_.front();
  if (typed_.starts_with("\x1b[A") || typed_.starts_with("\x1b[B")) {
    const bool up = typed_[2] == 'A';
    typed_.erase(0, 3);
    return {up ? Kind::kUp : Kind::kDown};
  }
  if (first == '\x1b') {
    typed_.clear();  // Of a key that we do not know, or alone.
    return {Kind::kEscape};
  }
  typed_.erase(0, 1);
  if (first == kCtrlC) return {Kind::kGone};
  if (first == '\r' || first == '\n') return {Kind::kEnter};
  if (first == kDelete || first == '\b') return {Kind::kBack};
  return first >= ' ' && first <= '~' ? Key{Kind::kLetter, first} : Key{};
}

Terminal::Key Terminal::wait_for_key(std::chrono::milliseconds limit) {
  if (!typed_.empty()) return next_key();
  pollfd input{STDIN_FILENO, POLLIN, 0};
  const int ready = ::poll(&input, 1, static_cast<int>(limit.count()));
  if (ready <= 0) return {};
  std::array<char, 64> bytes{};
  const ssize_t got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
  if (got < 0 && errno == EINTR) return {};
  if (got <= 0) return {Kind::kGone};
  typed_.assign(bytes.data(), static_cast<std::size_t>(got));
  return next_key();
}

}  // namespace sluice::app
