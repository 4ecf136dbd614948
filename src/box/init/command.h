// Starts the command: its streams, its user, its place; a terminal where there is to be one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>

#include "base/unique_fd.h"
#include "box/guest/control_message.h"

namespace sluice::box {

// Exit codes of our own, as env(1) has them.
inline constexpr std::uint8_t kExitSetupFailed = 125;
inline constexpr std::uint8_t kExitNotExecutable = 126;
inline constexpr std::uint8_t kExitNotFound = 127;

// What the command's parent tells of it.
struct CommandNews {
  enum class Kind : std::uint8_t { kStarted, kStopped, kEnded };
  Kind kind = Kind::kStarted;
  std::int32_t number = 0;  // Its process, a signal, or the status as waitpid() has it.
};

// What we keep of a command that runs. Our ends do not block.
struct RunningCommand {
  pid_t pid = -1;  // Also its process group.
  UniqueFd news;   // Whole CommandNews.
  // Of a terminal: its master, for both, and the side of the command, which keeps it alive.
  UniqueFd input;
  UniqueFd output;
  UniqueFd error;  // Invalid where standard error is the terminal too.
  UniqueFd terminal;
};

// Returns when the command has been executed. The caller leads a session that has no terminal yet,
// and the command is a process group of that session, below a process of ours that only waits for
// it: then its terminal can stop it, as under a shell. The kernel lets no terminal stop the leader
// of a session, nor a process group whose parent is process 1.
[[nodiscard]] std::expected<RunningCommand, Failed> start_command(const Setup& setup);

// Tells the terminal its size, and those who run in it.
void set_window(int terminal, const Window& window);

}  // namespace sluice::box
