#include "netns/guest_init.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "netns/child_process.h"
#include "netns/guest_child.h"
#include "sandbox/capabilities.h"
#include "sys/descriptors.h"

namespace sluice::netns {
namespace {

// Collects every child that changed. Returns COMMAND's exit code once it has ended.
std::optional<int> reap(pid_t command, const GuestChannel& channel) {
  std::optional<int> code;
  int status = 0;
  pid_t pid = 0;
  while ((pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
    if (pid != command) continue;
    if (WIFSTOPPED(status)) {
      // Init cannot stop itself (pid_namespaces(7)); the parent outside does it for us.
      channel.tell(GuestStopped{WSTOPSIG(status)});
    } else if (WIFEXITED(status)) {
      code = WEXITSTATUS(status);
    } else if (WIFSIGNALED(status)) {
      code = 128 + WTERMSIG(status);
    }
  }
  return code;
}

}  // namespace

void run_guest_init(const GuestOptions& options, const GuestChannel& channel,
                    bool new_user_namespace) {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &standard, nullptr);

  const pid_t command = ::fork();
  if (command < 0) {
    channel.tell(GuestFailed{{"start a process for the command", errno, ""}});
    ::_exit(kExitSetupFailed);
  }
  if (command == 0) exec_command(options, channel);

  // Sockets and pipes of the parent must not live on in init, which never calls exec.
  sys::close_descriptors_but({channel.fd()});
  // Nor may the command find rights in init that it lacks. (Real root needs its own to signal a
  // command that has changed its user.)
  if (new_user_namespace && !sandbox::drop_privileges()) ::_exit(kExitSetupFailed);
  while (true) {
    siginfo_t info{};
    const int signal = ::sigwaitinfo(&all, &info);
    if (signal == SIGCHLD) {
      if (const auto code = reap(command, channel)) ::_exit(*code);
    } else if (signal > 0 && should_forward(signal, info.si_code)) {
      ::kill(command, signal);
    }
  }
}

}  // namespace sluice::netns
