#include "sys/signal_fd.h"

#include <unistd.h>

namespace sluice::sys {

void SavedSignals::restore() const {
  ::sigaction(SIGPIPE, &pipe, nullptr);
  ::sigaction(SIGCHLD, &child, nullptr);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

std::expected<SignalFd, SysError> SignalFd::open(std::span<const int> signals) {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int signal : signals) ::sigaddset(&wanted, signal);

  SavedSignals saved;
  if (::sigprocmask(SIG_BLOCK, &wanted, &saved.mask) != 0) {
    return std::unexpected(last_error(SysOp::kSignalMask));
  }
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &saved.pipe);
  // A SIGCHLD that is ignored, as we may inherit it, makes exit statuses vanish.
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &standard, &saved.child);

  UniqueFd fd(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd.valid()) {
    const SysError error = last_error(SysOp::kSignalFd);
    saved.restore();
    return std::unexpected(error);
  }
  return SignalFd(std::move(fd), saved);
}

std::optional<signalfd_siginfo> SignalFd::read() {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) {
    return std::nullopt;
  }
  return info;
}

}  // namespace sluice::sys
