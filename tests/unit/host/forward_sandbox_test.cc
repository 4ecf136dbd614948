#include "host/forward_sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace sluice::host {
namespace {

// How a process ends that is confined and then does this: its exit status, or minus the signal.
int outcome_of(const std::function<int()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!confine_worker(SeccompMode::kKill)) ::_exit(99);
    ::_exit(act());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(ForwardSandbox, AWorkerMayDoWhatItNeeds) {
  if (seccomp_mode_from_environment() == SeccompMode::kOff) GTEST_SKIP() << "no filter here";
  EXPECT_EQ(outcome_of([] {
              const int tcp = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
              const int local = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
              int ends[2] = {-1, -1};
              return tcp >= 0 && local >= 0 && ::pipe2(ends, O_CLOEXEC) == 0 ? 7 : 1;
            }),
            7);
}

TEST(ForwardSandbox, AWorkerThatDoesAnythingElseIsKilled) {
  if (seccomp_mode_from_environment() == SeccompMode::kOff) GTEST_SKIP() << "no filter here";
  const std::function<int()> forbidden[] = {
      [] { return ::open("/tmp/written", O_WRONLY | O_CREAT, 0600); },
      [] { return ::execl("/bin/true", "true", nullptr); },
      [] { return static_cast<int>(::fork()); },
      [] { return ::kill(::getppid(), 0); },
      [] { return ::setuid(0); },
      [] { return ::socket(AF_PACKET, SOCK_RAW, 0); },
      [] { return ::socket(AF_NETLINK, SOCK_RAW, 0); },
      [] { return ::unlink("/tmp/nothing"); },
      [] { return ::listen(0, 1); },
  };
  for (const auto& act : forbidden) EXPECT_EQ(outcome_of(act), -SIGSYS);
}

}  // namespace
}  // namespace sluice::host
