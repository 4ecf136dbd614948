// Our terminal while a guest's command has it: what is typed is the guest's, Ctrl-C too, whose own
// terminal makes of it what is to be made. A process beside us keeps what the terminal was like,
// and restores it when we end, in whatever way we do. Set up while this process has one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <optional>
#include <utility>

#include "base/unique_fd.h"
#include "sandbox/helper_process.h"
#include "sys/setup_error.h"

namespace sluice::box {

struct WindowSize {
  std::uint16_t rows = 0;
  std::uint16_t columns = 0;
  friend bool operator==(const WindowSize&, const WindowSize&) = default;
};
// Nothing where it is no terminal.
[[nodiscard]] std::optional<WindowSize> window_of(int fd);

class Terminal {
 public:
  // `fd` is the terminal, stays open and is not owned.
  [[nodiscard]] static std::expected<Terminal, sys::SetupError> open(int fd);

  // Raw (termios(3), cfmakeraw), unless we are in the background; and as it was before that, if it
  // was made raw. Each returns when it is done; any thread, one at a time.
  void take();
  void give_back();

 private:
  Terminal(int fd, pid_t group, sandbox::HelperProcess keeper)
      : fd_(fd), group_(group), keeper_(std::move(keeper)) {}
  void order(std::uint8_t what);

  int fd_;
  pid_t group_;                    // Ours, of processes.
  sandbox::HelperProcess keeper_;  // Its end restores the terminal.
};

}  // namespace sluice::box
