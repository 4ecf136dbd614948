#include "sandbox/supervisor_sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdio>
#include <thread>

#include "base/unique_fd.h"
#include "sandbox/capabilities.h"
#include "sandbox/landlock.h"
#include "unit/sys/loopback.h"

namespace sluice::sandbox {
namespace {

// Acts as somebody would who has taken the forwarder's supervisor over. Root's rights stay, so that
// what is refused is refused by the filter.
class SupervisorSandbox : public ::testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("SLUICE_SECCOMP");
    if (seccomp_mode_from_environment() == SeccompMode::kOff) GTEST_SKIP() << "a sanitizer's build";
  }
  static bool enter() { return refuse_new_privileges() && confine_supervisor(SeccompMode::kKill); }
  static void expect_exit_0(const std::function<int()>& body) {
    const int status = sys::in_child([&] { return enter() ? body() : 99; });
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
};

int wait_for_end_of(pid_t child) {
  int status = -1;
  return ::waitpid(child, &status, 0) == child ? status : -1;
}

// Filters that are in force, of /proc/self/status.
int filters() {
  std::FILE* const file = std::fopen("/proc/self/status", "re");
  char line[256];
  int count = -1;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    (void)std::sscanf(line, "Seccomp_filters: %d", &count);
  }
  std::fclose(file);
  return count;
}

TEST_F(SupervisorSandbox, LooksIntoNoOtherProcess) {
  const pid_t stranger = ::getpid();
  expect_exit_0([stranger] {
    char byte = 0;
    iovec here{&byte, 1};
    const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, stranger, 0)));
    if (::ptrace(PTRACE_SEIZE, stranger, nullptr, nullptr) != -1 || errno != EPERM) return 1;
    if (::process_vm_readv(stranger, &here, 1, &here, 1, 0) != -1 || errno != EPERM) return 2;
    if (::process_vm_writev(stranger, &here, 1, &here, 1, 0) != -1 || errno != EPERM) return 3;
    if (::syscall(SYS_pidfd_getfd, pidfd.get(), 0, 0) != -1 || errno != EPERM) return 4;
    const rlimit limit{.rlim_cur = 0, .rlim_max = 0};
    if (::prlimit(stranger, RLIMIT_CORE, &limit, nullptr) != -1 || errno != EPERM) return 5;
    return ::prlimit(0, RLIMIT_CORE, &limit, nullptr) == 0 ? 0 : 6;
  });
}

TEST_F(SupervisorSandbox, LeavesNamespacesMountsAndTheKernelAlone) {
  expect_exit_0([] {
    bpf_attr attributes{};
    const auto refused = [](long answer) { return answer == -1 && errno == EPERM; };
    if (!refused(::syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, nullptr))) return 1;
    if (!refused(::unshare(CLONE_NEWNET)) || !refused(::unshare(CLONE_NEWUSER))) return 2;
    if (!refused(::syscall(SYS_setns, 0, 0)) || !refused(::chroot("/"))) return 3;
    if (!refused(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0))) return 4;
    if (!refused(::syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes))) return 5;
    if (!refused(::syscall(SYS_io_uring_setup, 1, nullptr))) return 6;
    if (!refused(::syscall(SYS_userfaultfd, 0))) return 7;
    if (!refused(::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0))) return 8;
    if (!refused(::syscall(SYS_keyctl, 0, 0))) return 9;
    if (!refused(::syscall(SYS_kexec_load, 0, 0, nullptr, 0))) return 10;
    if (!refused(::syscall(SYS_init_module, nullptr, 0, ""))) return 11;
    if (!refused(::setuid(0)) || !refused(::setgid(0))) return 12;
    if (::syscall(SYS_clone3, nullptr, 0) != -1 || errno != ENOSYS) return 13;
    return 0;
  });
}

TEST_F(SupervisorSandbox, SocketsAreOfTheFamiliesThatItUses) {
  expect_exit_0([] {
    for (const int family : {AF_UNIX, AF_INET, AF_INET6}) {
      if (!UniqueFd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)).valid()) return 1;
    }
    if (!UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0)).valid()) return 2;
    for (const int family : {AF_PACKET, AF_ALG, AF_VSOCK, AF_XDP, 45, 63, 64, 1 << 20}) {
      if (::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0) != -1) return 3;
      if (errno != EAFNOSUPPORT && errno != EPERM) return 4;
    }
    return 0;
  });
}

TEST_F(SupervisorSandbox, StartsAndEndsChildrenAndThreadsAndFiles) {
  expect_exit_0([] {
    const pid_t program = ::fork();
    if (program == 0) {
      ::execl("/bin/sh", "sh", "-c", "test \"$(echo a | tr a b)\" = b", nullptr);
      ::_exit(98);
    }
    if (wait_for_end_of(program) != 0) return 1;
    const pid_t sleeper = ::fork();
    if (sleeper == 0) ::_exit(::pause());
    if (::kill(sleeper, SIGKILL) != 0) return 2;
    const int status = wait_for_end_of(sleeper);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return 3;
    bool ran = false;
    std::thread([&ran] { ran = true; }).join();
    if (!ran) return 4;
    return UniqueFd(::open("/etc/passwd", O_RDONLY | O_CLOEXEC)).valid() ? 0 : 5;
  });
}

TEST_F(SupervisorSandbox, SignalsNoGroupAndNoStranger) {
  const pid_t stranger = ::getpid();
  expect_exit_0([stranger] {
    for (const pid_t group : {0, -1, -stranger}) {
      if (::kill(group, 0) != -1 || errno != EPERM) return 1;
    }
    const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, stranger, 0)));
    const long by_pidfd = ::syscall(SYS_pidfd_send_signal, pidfd.get(), 0, nullptr, 0);
    if (by_pidfd != -1 || errno != EPERM) return 2;
    if (::syscall(SYS_tkill, stranger, 0) != -1 || errno != EPERM) return 3;
    siginfo_t info{};
    if (::syscall(SYS_rt_sigqueueinfo, stranger, SIGUSR1, &info) != -1 || errno != EPERM) return 4;
    if (::fcntl(STDIN_FILENO, F_SETOWN, stranger) != -1 || errno != EPERM) return 5;
    return 0;
  });
}

// A filter cannot tell children from strangers: that is Landlock's part.
TEST_F(SupervisorSandbox, LandlockKeepsItFromStrangersAlone) {
  const pid_t stranger = ::getpid();
  const int status = sys::in_child([stranger] {
    if (!refuse_new_privileges()) return 99;
    const auto confined = confine_signals();
    if (!confined) return 98;
    if (*confined == Confined::kNotByKernel) return sys::kNotPermitted;
    if (::kill(stranger, 0) != -1 || errno != EPERM) return 1;
    if (::syscall(SYS_tgkill, stranger, stranger, 0) != -1 || errno != EPERM) return 2;
    if (::kill(::getpid(), 0) != 0) return 3;
    const pid_t child = ::fork();
    if (child == 0) {
      // What it starts inherits it.
      ::_exit(::kill(stranger, 0) == -1 && errno == EPERM ? ::pause() : 7);
    }
    if (::kill(child, SIGTERM) != 0) return 4;
    return WIFSIGNALED(wait_for_end_of(child)) ? 0 : 5;
  });
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == sys::kNotPermitted)
    GTEST_SKIP() << "no scopes of Landlock (Linux 6.12)";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// The program that takes over asks again, and so does the one after it.
TEST_F(SupervisorSandbox, IsEnteredOnceHoweverManyUpgrades) {
  expect_exit_0([] {
    const int once = filters();
    for (int upgrade = 0; upgrade < 40; ++upgrade) {
      const pid_t child = ::fork();
      if (child != 0) return wait_for_end_of(child) == 0 ? 0 : 1;
      if (!confine_supervisor(SeccompMode::kKill) || filters() != once) ::_exit(2);
    }
    ::_exit(::unshare(CLONE_NEWNET) == -1 && errno == EPERM ? 0 : 3);
  });
}

}  // namespace
}  // namespace sluice::sandbox
