// Handing over to a new binary (SIGUSR2). The new process is our child; it inherits every listening
// socket, so that no connection is refused and none that waits in a queue is lost. It says through
// a pipe when it serves; until then nothing here has changed, and if it never does we go on.
//
// The environment variable SLUICE_UPGRADE is "PID SOCKETS READY": the child's pid, so that nobody
// else takes it for theirs, a descriptor with the description below, and the pipe's. The
// description is one line for each socket:
//
//   listener FD KEY     KEY as in ListenerKey; several lines may have the same
//   activated FD NAME   a socket of systemd's, in their order
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "sys/signal_fd.h"

namespace sluice::forward {

inline constexpr const char* kUpgradeVariable = "SLUICE_UPGRADE";
inline constexpr char kUpgradeReady = 'R';  // What the new process writes into the pipe.
inline constexpr Duration kUpgradeTimeout = std::chrono::seconds{10};

enum class PassedKind : std::uint8_t { kListener, kActivated };

struct PassedSocket {
  PassedKind kind = PassedKind::kListener;
  int fd = -1;       // Borrowed.
  std::string text;  // A key or a name.
  friend bool operator==(const PassedSocket&, const PassedSocket&) = default;
};

[[nodiscard]] std::string describe_sockets(std::span<const PassedSocket> sockets);
// Nothing for a description that is not of this form.
[[nodiscard]] std::optional<std::vector<PassedSocket>> parse_sockets(std::string_view text);

struct UpgradeVariable {
  pid_t pid = 0;
  int sockets_fd = -1;
  int ready_fd = -1;
};
[[nodiscard]] std::optional<UpgradeVariable> parse_upgrade_variable(std::string_view text);

// The program to execute: argv[0] when it is a path, else the file that runs now, or the one that
// has replaced it.
[[nodiscard]] std::string program_of(const std::vector<std::string>& command_line);

// The new process, until it serves or has failed.
class Upgrade {
 public:
  enum class State : std::uint8_t { kStarting, kServes, kFailed };

  // The error is one line.
  [[nodiscard]] static std::expected<Upgrade, std::string> start(
      const std::vector<std::string>& command_line, std::span<const PassedSocket> sockets,
      const sys::SavedSignals& signals);

  // Readable when the new process has spoken or is gone: then call check().
  [[nodiscard]] int fd() const { return ready_.get(); }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] State check();
  // Of kFailed, one line: why.
  [[nodiscard]] const std::string& failure() const { return failure_; }
  // Ends the new process; failure() then says that it was late, unless there was a failure.
  void abandon();

 private:
  Upgrade(pid_t pid, UniqueFd ready) : pid_(pid), ready_(std::move(ready)) {}
  void await_exit();

  pid_t pid_;  // Negative once it was reaped.
  UniqueFd ready_;
  std::string failure_;
};

}  // namespace sluice::forward
