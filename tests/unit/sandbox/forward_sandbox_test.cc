#include "sandbox/forward_sandbox.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include <cerrno>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/capabilities.h"
#include "sandbox/landlock.h"
#include "unit/sys/loopback.h"

namespace sluice::sandbox {
namespace {

// Acts as somebody would who has taken a worker of the forwarder over: in a thread beside others,
// as they are.
class TakenOverWorker : public ::testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("SLUICE_SECCOMP");
    if (seccomp_mode_from_environment() == SeccompMode::kOff) GTEST_SKIP() << "a sanitizer's build";
  }
  static int act(SeccompMode mode, const std::function<int()>& body) {
    return sys::in_child([&] {
      if (!refuse_new_privileges()) return 98;
      int answer = 99;
      std::thread([&] { answer = confine_worker(mode) ? body() : 97; }).join();
      return answer;
    });
  }
  static void expect_exit_0(int status) {
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  static void expect_killed_for(const std::function<long()>& body) {
    const int status = act(SeccompMode::kKill, [&] {
      (void)body();
      return 0;
    });
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    EXPECT_EQ(WTERMSIG(status), SIGSYS);
  }
};

TEST_F(TakenOverWorker, StillForwards) {
  expect_exit_0(act(SeccompMode::kKill, [] {
    const UniqueFd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const UniqueFd local(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int ends[2] = {-1, -1};
    if (!tcp.valid() || !local.valid() || ::pipe2(ends, O_CLOEXEC) != 0) return 1;
    // The memory of a thread's own arena: what the C library gives back it asks a file about.
    for (int round = 0; round < 3; ++round) {
      std::vector<std::vector<char>> blocks;
      for (int i = 0; i < 2000; ++i) blocks.emplace_back(100'000, 'x');
      if (blocks.back().back() != 'x') return 2;
    }
    // Of the system's zone, wherever that was read.
    const std::time_t now = ::time(nullptr);
    struct tm local_time{};
    return ::localtime_r(&now, &local_time) != nullptr ? 0 : 3;
  }));
}

constexpr const char* kSecrets[] = {"/etc/passwd",
                                    "/etc/localtime",
                                    "/proc/self/environ",
                                    "/proc/self/mem",
                                    "/proc/1/status",
                                    "/proc",
                                    "/",
                                    "/dev/null"};

TEST_F(TakenOverWorker, OpensNothing) {
  for (const SeccompMode mode : {SeccompMode::kKill, SeccompMode::kLog}) {
    expect_exit_0(act(mode, [] {
      for (const char* path : kSecrets) {
        if (::open(path, O_RDONLY | O_CLOEXEC) != -1 || errno != EACCES) return 1;
        if (::open(path, O_PATH | O_CLOEXEC) != -1 || errno != EACCES) return 2;
        if (::syscall(SYS_open, path, O_RDONLY) != -1 || errno != EACCES) return 3;
        struct stat status{};
        if (::stat(path, &status) != -1 || errno != EACCES) return 4;
      }
      return 0;
    }));
  }
  const std::string made = ::testing::TempDir() + "/made";
  const char* const path = made.c_str();
  expect_killed_for([path] { return ::open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); });
  expect_killed_for([path] { return ::open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600); });
  expect_killed_for([] { return ::open("/dev/null", O_RDWR | O_CLOEXEC); });
  expect_killed_for([] { return ::syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", nullptr, 0); });
  expect_killed_for([] { return ::syscall(SYS_open_by_handle_at, 0, nullptr, 0); });
  expect_killed_for([] { return ::syscall(SYS_memfd_create, "x", 0); });
  expect_killed_for([path] { return ::unlink(path); });
  expect_killed_for([path] { return ::mkdir(path, 0700); });
  expect_killed_for([path] { return ::chmod(path, 0700); });
  expect_killed_for([path] { return ::rename(path, "/tmp/renamed"); });
  EXPECT_FALSE(std::filesystem::exists(made));
}

// bind() makes the file of a UNIX socket, and to it a filter cannot look.
TEST_F(TakenOverWorker, MakesNoSocketFile) {
  const std::string path = ::testing::TempDir() + "/taken-over.socket";
  ::unlink(path.c_str());
  const int known = sys::in_child([] {
    if (!refuse_new_privileges()) return 99;
    return confine_files({}, AbstractSockets::kAll) == Confined::kYes ? 0 : sys::kNotPermitted;
  });
  if (WEXITSTATUS(known) == sys::kNotPermitted) GTEST_SKIP() << "no Landlock";
  expect_exit_0(act(SeccompMode::kKill, [&path] {
    const UniqueFd local(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    const auto* address = reinterpret_cast<const sockaddr*>(&name);
    return ::bind(local.get(), address, sizeof name) == -1 && errno == EACCES ? 0 : 1;
  }));
}

TEST_F(TakenOverWorker, SignalsNothing) {
  const pid_t stranger = ::getpid();
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, stranger, 0)));
  ASSERT_TRUE(pidfd.valid());
  expect_killed_for([stranger] { return ::kill(stranger, 0); });
  expect_killed_for([] { return ::kill(0, 0); });
  expect_killed_for([] { return ::kill(-1, 0); });
  expect_killed_for([] { return ::kill(::getpid(), 0); });
  expect_killed_for([stranger] { return ::syscall(SYS_tgkill, stranger, stranger, 0); });
  expect_killed_for([stranger] { return ::syscall(SYS_tkill, stranger, 0); });
  expect_killed_for([stranger] { return ::syscall(SYS_rt_sigqueueinfo, stranger, 0, nullptr); });
  expect_killed_for(
      [&pidfd] { return ::syscall(SYS_pidfd_send_signal, pidfd.get(), 0, nullptr, 0); });
  expect_killed_for([stranger] { return ::syscall(SYS_pidfd_open, stranger, 0); });
  expect_killed_for([stranger] { return ::fcntl(STDIN_FILENO, F_SETOWN, stranger); });
  expect_killed_for([] { return ::fcntl(STDIN_FILENO, F_SETSIG, SIGKILL); });
}

TEST_F(TakenOverWorker, ExecutesNothing) {
  expect_killed_for([] { return ::execl("/bin/true", "true", nullptr); });
  expect_killed_for([] { return ::syscall(SYS_execveat, AT_FDCWD, "/bin/true", 0, 0, 0); });
  expect_killed_for([] { return ::fork(); });
  expect_killed_for([] { return ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); });
  expect_killed_for([] { return ::syscall(SYS_clone3, nullptr, 0); });
  expect_killed_for([] {
    return reinterpret_cast<long>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  });
}

TEST_F(TakenOverWorker, ReachesNothingElseOfTheKernel) {
  expect_killed_for([] { return ::setuid(0); });
  expect_killed_for([] { return ::socket(AF_PACKET, SOCK_RAW, 0); });
  expect_killed_for([] { return ::socket(AF_NETLINK, SOCK_RAW, 0); });
  expect_killed_for([] { return ::listen(0, 1); });
  expect_killed_for([] { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); });
  expect_killed_for([] { return ::syscall(SYS_process_vm_readv, 1, nullptr, 0, nullptr, 0, 0); });
}

}  // namespace
}  // namespace sluice::sandbox
