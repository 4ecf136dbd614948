#include "netns/child_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include "netns/pidfd.h"

namespace sluice::netns {

bool should_forward(int signal, int code) {
  switch (signal) {
    case SIGINT:
    case SIGQUIT:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
      // SI_KERNEL: from the terminal, which sends to the whole foreground group.
      return code != SI_KERNEL;
    case SIGHUP:
    case SIGTERM:
    case SIGUSR1:
    case SIGUSR2:
    case SIGALRM:
    case SIGCONT: return true;
    default: return false;
  }
}

void ChildProcess::send_signal(int signal) const { send_signal_by_pidfd(pidfd_.get(), signal); }

void ChildProcess::on_signal(const signalfd_siginfo& info) {
  const int signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGCHLD) {
    check_stopped();
    reap_others();
  } else if (should_forward(signal, info.ssi_code)) {
    send_signal(signal);
  }
}

void ChildProcess::on_channel() {
  while (channel_.readable()) {
    const auto message = channel_.receive();
    if (!message || std::holds_alternative<GuestHungUp>(*message)) {
      channel_.close();
      return;
    }
    if (const auto* failure = std::get_if<GuestFailed>(&*message); failure != nullptr) {
      exec_error_ = failure->error;
    } else if (std::holds_alternative<GuestStopped>(*message)) {
      stop_with_child();
    }
  }
}

std::optional<int> ChildProcess::exit_code() {
  if (exit_code_) return exit_code_;
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0) {
    return std::nullopt;
  }
  exit_code_ = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  on_channel();
  return exit_code_;
}

void ChildProcess::check_stopped() {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WSTOPPED | WNOHANG) == 0 &&
      info.si_pid != 0) {
    stop_with_child();
  }
}

// Helpers of ours, and, where we are the init of a container or a subreaper, orphans: nobody else
// collects them. The command is left to exit_code().
void ChildProcess::reap_others() const {
  siginfo_t info{};
  while (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
         info.si_pid != pid_) {
    if (::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG) != 0) return;
    info = {};
  }
}

// Returns when somebody continues us, whose SIGCONT then also waits in the signalfd. It is sent
// on at once: whoever continues us alone means the command.
void ChildProcess::stop_with_child() {
  ::kill(::getpid(), SIGSTOP);
  send_signal(SIGCONT);
}

}  // namespace sluice::netns
