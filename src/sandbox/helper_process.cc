#include "sandbox/helper_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/descriptors.h"

namespace sluice::sandbox {

std::vector<UniqueFd> stand_alone(std::vector<UniqueFd> channels, const char* name,
                                  SeccompMode mode, ParentsEnd end) {
  // Before the command runs: it has this user, and perhaps every right in the guest's namespaces.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (end == ParentsEnd::kIsOurs) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, name);
  // What the terminal or the guest sends to the whole group is not for us.
  ::setsid();
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  // Blocked for us, and ignored for a thread that a sanitizer may have started.
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1,
                           SIGUSR2, SIGPIPE, SIGALRM}) {
    ::signal(number, SIG_IGN);
  }
  std::vector<int> kept;
  for (UniqueFd& channel : channels) {
    channel = UniqueFd(::fcntl(channel.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    kept.push_back(channel.get());
  }
  sys::close_descriptors_but(std::move(kept));
  // Pipes that we inherited must not wait for us. Those who look for a bug want to read of it.
  const int last = mode == SeccompMode::kKill ? STDERR_FILENO : STDOUT_FILENO;
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = STDIN_FILENO; fd <= last && nothing.valid(); ++fd) ::dup2(nothing.get(), fd);
  return channels;
}

UniqueFd stand_alone(UniqueFd channel, const char* name, SeccompMode mode, ParentsEnd end) {
  std::vector<UniqueFd> channels;
  channels.push_back(std::move(channel));
  return std::move(stand_alone(std::move(channels), name, mode, end).front());
}

std::expected<HelperProcess, sys::SetupError> HelperProcess::start(const char* step, int type,
                                                                   const Work& work) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return std::unexpected(sys::SetupError{"socketpair", errno, ""});
  }
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return std::unexpected(sys::SetupError{step, errno, ""});
  if (pid == 0) {
    // Or it would never see the end of ours.
    ours.reset();
    work(std::move(theirs));
    ::_exit(1);
  }
  return HelperProcess(std::move(ours), pid);
}

HelperProcess::~HelperProcess() {
  if (pid_ < 0) return;
  channel_.reset();
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0 && errno == EINTR) {
  }
}

UniqueFd HelperProcess::release() && {
  pid_ = -1;
  return std::move(channel_);
}

}  // namespace sluice::sandbox
