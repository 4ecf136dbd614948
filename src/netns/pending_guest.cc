#include "netns/pending_guest.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <variant>

#include "netns/pidfd.h"

namespace sluice::netns {
namespace {

std::string clone_hint(int error) {
  switch (error) {
    case EPERM:
      return "user namespaces are not permitted; as root run: sysctl "
             "kernel.unprivileged_userns_clone=1 (where it exists)";
    case ENOSPC: return "as root run: sysctl user.max_user_namespaces=15000";
    case EAGAIN: return "the limit on processes is reached (ulimit -u)";
    default: return "";
  }
}

int wait_for(int pidfd) {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) != 0 && errno == EINTR) {
  }
  return info.si_status;
}

}  // namespace

std::expected<PendingGuest, sys::SetupError> PendingGuest::start(const Start& start) {
  auto ends = GuestChannel::pair();
  if (!ends) return std::unexpected(sys::SetupError{"socketpair", ends.error().error, ""});

  std::vector<agent::GuestAgent> agents;
  std::vector<UniqueFd> agent_channels;
  while (agents.size() < start.agent_channels) {
    auto agent_ends = agent::GuestAgent::pair();
    if (!agent_ends) {
      return std::unexpected(sys::SetupError{"socketpair", agent_ends.error().error, ""});
    }
    agents.push_back(std::move(agent_ends->first));
    agent_channels.push_back(std::move(agent_ends->second));
  }

  const unsigned long flags = static_cast<unsigned long>(CLONE_PIDFD | SIGCHLD) | start.clone_flags;
  int pidfd = -1;
  const long pid = ::syscall(SYS_clone, flags, nullptr, &pidfd, nullptr, nullptr);
  if (pid < 0) {
    return std::unexpected(
        sys::SetupError{"start a process for the guest", errno, clone_hint(errno)});
  }
  if (pid == 0) {
    ends->first.close();
    agents.clear();
    start.child(ends->second, std::move(agent_channels));
    ::_exit(1);
  }
  return PendingGuest(static_cast<pid_t>(pid), UniqueFd(pidfd), std::move(ends->first),
                      std::move(agents));
}

PendingGuest::~PendingGuest() {
  if (!pidfd_.valid()) return;
  send_signal_by_pidfd(pidfd_.get(), SIGKILL);
  (void)wait_for(pidfd_.get());
}

std::expected<OpenedLink, sys::SetupError> PendingGuest::await_link() {
  while (true) {
    auto message = channel_.receive();
    if (!message) {
      return std::unexpected(sys::SetupError{"read from the guest", message.error().error, ""});
    }
    if (auto* link = std::get_if<OpenedLink>(&*message); link != nullptr) return std::move(*link);
    if (auto* told = std::get_if<OpenedDiagnostics>(&*message); told != nullptr) {
      diagnostics_ = std::move(told->socket);
      continue;
    }
    if (const auto* warning = std::get_if<GuestWarning>(&*message); warning != nullptr) {
      warnings_.push_back(warning->error);
      continue;
    }
    if (const auto* failure = std::get_if<GuestFailed>(&*message); failure != nullptr) {
      return std::unexpected(failure->error);
    }
    return std::unexpected(sys::SetupError{"the guest's process died during its set-up", 0, ""});
  }
}

std::expected<ChildProcess, sys::SetupError> PendingGuest::release() && {
  if (const auto sent = channel_.send(GuestGo{}); !sent) {
    return std::unexpected(sys::SetupError{"the guest's process died", sent.error().error, ""});
  }
  return std::expected<ChildProcess, sys::SetupError>(std::in_place, pid_, std::move(pidfd_),
                                                      std::move(channel_));
}

}  // namespace sluice::netns
