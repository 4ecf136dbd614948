// The running command as its parent sees it: exit, stop and continue, and the signals passed on.
//
// The command shares our process group, so what the terminal sends (Ctrl-C, Ctrl-Z) reaches it
// without us; what a process sends to us alone is forwarded. When the command stops we stop too,
// so that the shell sees one job.
#pragma once

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include <array>
#include <optional>

#include "base/unique_fd.h"
#include "netns/guest_channel.h"
#include "sys/setup_error.h"

namespace sluice::netns {

// The signals that the parent of a command must take by SignalFd and hand to on_signal().
// SIGUSR1 is not among them: it is ours.
inline constexpr std::array<int, 11> kChildSignals = {SIGCHLD, SIGINT,  SIGQUIT, SIGTERM,
                                                      SIGHUP,  SIGUSR2, SIGCONT, SIGTSTP,
                                                      SIGTTIN, SIGTTOU, SIGALRM};

class ChildProcess {
 public:
  ChildProcess(pid_t pid, UniqueFd pidfd, GuestChannel channel)
      : pid_(pid), pidfd_(std::move(pidfd)), channel_(std::move(channel)) {}

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Readable when the command has ended: then call exit_code().
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  // Readable when there is news: then call on_channel(). Negative once there can be no more.
  [[nodiscard]] int channel_fd() const { return channel_.fd(); }

  void on_signal(const signalfd_siginfo& info);
  void on_channel();

  // Nothing while it runs. 128 + n when signal n killed it. Reaps the process.
  [[nodiscard]] std::optional<int> exit_code();
  // Why COMMAND could not be started; complete once exit_code() has answered.
  [[nodiscard]] const std::optional<sys::SetupError>& exec_error() const { return exec_error_; }

  void send_signal(int signal) const;

 private:
  void check_stopped();
  void reap_others() const;
  void stop_with_child();

  pid_t pid_;
  UniqueFd pidfd_;
  GuestChannel channel_;
  std::optional<int> exit_code_;
  std::optional<sys::SetupError> exec_error_;
};

// Whether a signal that came to us must be sent on to a child in our own process group; `code` is
// its si_code.
[[nodiscard]] bool should_forward(int signal, int code);

}  // namespace sluice::netns
