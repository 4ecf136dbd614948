#include "sandbox/sandbox.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <vector>

#include "host/tcp_socket.h"
#include "host/udp_socket.h"
#include "sandbox/capabilities.h"
#include "sandbox/landlock.h"
#include "sys/event_loop.h"
#include "unit/sys/loopback.h"

namespace sluice::sandbox {
namespace {

bool sanitized() {
  ::unsetenv("SLUICE_SECCOMP");
  return seccomp_mode_from_environment() == SeccompMode::kOff;
}

class Sandbox : public ::testing::Test {
 protected:
  void SetUp() override {
    if (sanitized()) GTEST_SKIP() << "built with a sanitizer";
  }
  static int inside(SeccompMode mode, const std::function<int()>& body) {
    return sys::in_child([&] { return enter_sandbox(mode, -1) ? body() : 99; });
  }
  static void expect_killed(const std::function<int()>& body) {
    const int status = inside(SeccompMode::kKill, body);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    EXPECT_EQ(WTERMSIG(status), SIGSYS);
  }
};

TEST_F(Sandbox, DataPathWorks) {
  const int status = inside(SeccompMode::kKill, [] {
    sys::Kernel& kernel = sys::real_kernel();
    auto loop = sys::EventLoop::create(kernel);
    auto tcp = host::TcpSocket::connect(kernel, {sys::ip("127.0.0.1"), wire::Port{9}});
    auto udp = host::UdpSocket::open(kernel, wire::IpFamily::kV4);
    if (!loop || !udp) return 1;
    if (!loop->add(udp->fd(), EPOLLIN, 1)) return 2;
    std::array<epoll_event, 4> events{};
    if (!loop->wait(events, loop->now(), loop->now())) return 3;
    if (tcp) {
      (void)tcp->unacknowledged_bytes();
      (void)tcp->readable_bytes();
    }
    const std::vector<char> large(std::size_t{64} << 20, 'x');
    return large.back() == 'x' ? 0 : 4;
  });
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(Sandbox, ExecKills) {
  expect_killed([] { return ::execl("/bin/true", "true", nullptr); });
}
TEST_F(Sandbox, ForkKills) {
  expect_killed([] { return ::fork() == 0 ? 0 : 1; });
}
TEST_F(Sandbox, WritableOpenKills) {
  expect_killed([] { return ::open("/dev/null", O_WRONLY | O_CLOEXEC); });
}
TEST_F(Sandbox, CreatingOpenKills) {
  expect_killed([] { return ::open("/dev/null", O_RDONLY | O_CREAT | O_CLOEXEC, 0600); });
}
TEST_F(Sandbox, UnixSocketKills) {
  expect_killed([] { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); });
}
TEST_F(Sandbox, PtraceKills) {
  expect_killed([] { return static_cast<int>(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); });
}
TEST_F(Sandbox, SignalToOthersKills) {
  expect_killed([] { return ::kill(::getppid(), 0); });
}

TEST_F(Sandbox, LogModeRefusesInstead) {
  const int status = inside(SeccompMode::kLog, [] {
    return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) == -1 && errno == EPERM ? 0 : 1;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(Sandbox, PrivilegesAreGone) {
  const int status = sys::in_child([] {
    if (!drop_privileges()) return 1;
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 2;
    if (::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return 3;
    return ::unshare(CLONE_NEWNET) == -1 && errno == EPERM ? 0 : 4;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// A process that the one in the sandbox may signal, and another of the same user's.
struct Others {
  pid_t child = -1;
  pid_t stranger = -1;
  int child_fd = -1;
  int stranger_fd = -1;
  int stranger_directory = -1;  // As good as a pidfd to pidfd_send_signal(2).

  static Others start() {
    Others made;
    // They end with the writing end, which only we have: a parent may be killed at any moment.
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return made;
    for (pid_t* pid : {&made.child, &made.stranger}) {
      *pid = ::fork();
      if (*pid == 0) {
        ::close(ends[1]);
        char none = 0;
        ::_exit(static_cast<int>(::read(ends[0], &none, 1)));
      }
    }
    made.child_fd = static_cast<int>(::syscall(SYS_pidfd_open, made.child, 0));
    made.stranger_fd = static_cast<int>(::syscall(SYS_pidfd_open, made.stranger, 0));
    const std::string path = "/proc/" + std::to_string(made.stranger);
    made.stranger_directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return made;
  }
};

long signal_by(long fd, long number, long flags = 0) {
  return ::syscall(SYS_pidfd_send_signal, fd, number, nullptr, flags);
}

// Acts as a guest would that has taken the serving process over.
class TakenOver : public Sandbox {
 protected:
  static int act(SeccompMode mode, const std::function<int(const Others&)>& body) {
    return sys::in_child([&] {
      const Others others = Others::start();
      if (others.stranger_fd < 0 || others.stranger_directory < 0) return 98;
      return enter_sandbox(mode, others.child_fd) ? body(others) : 99;
    });
  }
  static void expect_killed_for(const std::function<long(const Others&)>& body) {
    const int status = act(SeccompMode::kKill, [&](const Others& others) {
      (void)body(others);
      return 0;
    });
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    EXPECT_EQ(WTERMSIG(status), SIGSYS);
  }
  static void expect_exit_0(int status) {
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
};

constexpr std::array kSecrets = {"/etc/passwd",
                                 "/etc/hosts",
                                 "/proc/self/environ",
                                 "/proc/1/status",
                                 "/proc/self/mem",
                                 "/proc",
                                 "/",
                                 "/dev/null",
                                 "/tmp"};

TEST_F(TakenOver, OpensNothing) {
  for (const SeccompMode mode : {SeccompMode::kKill, SeccompMode::kLog}) {
    expect_exit_0(act(mode, [](const Others& others) {
      for (const char* path : kSecrets) {
        if (::open(path, O_RDONLY | O_CLOEXEC) != -1 || errno != EACCES) return 1;
        if (::open(path, O_PATH | O_CLOEXEC) != -1 || errno != EACCES) return 2;
      }
      // Relative to a directory that somebody passed in.
      return ::openat(others.stranger_directory, "environ", O_RDONLY) == -1 && errno == EACCES ? 0
                                                                                               : 3;
    }));
  }
}

TEST_F(TakenOver, SignalsItsChildAlone) {
  expect_exit_0(act(SeccompMode::kKill, [](const Others& others) {
    if (signal_by(others.child_fd, SIGKILL) != 0) return 1;
    siginfo_t info{};
    return ::waitid(P_ALL, 0, &info, WEXITED) == 0 && info.si_pid == others.child ? 0 : 2;
  }));
  expect_killed_for([](const Others& o) { return signal_by(o.stranger_fd, 0); });
  expect_killed_for([](const Others& o) { return signal_by(o.stranger_directory, 0); });
  // The process group of the child is the one of whoever started us.
  expect_killed_for([](const Others& o) { return signal_by(o.child_fd, 0, 4); });
  expect_killed_for([](const Others& o) { return static_cast<long>(::kill(o.stranger, 0)); });
  expect_killed_for([](const Others& o) { return static_cast<long>(::kill(o.child, 0)); });
  expect_killed_for([](const Others&) { return static_cast<long>(::kill(0, 0)); });
  expect_killed_for([](const Others&) { return static_cast<long>(::kill(-1, 0)); });
  expect_killed_for([](const Others& o) { return ::syscall(SYS_pidfd_open, o.stranger, 0); });
}

TEST_F(TakenOver, TheChildsNumberIsNeverAnotherProcess) {
  expect_exit_0(act(SeccompMode::kKill, [](const Others& o) {
    if (::syscall(SYS_close, o.child_fd) != -1 || errno != EPERM) return 1;
    // The kernel takes the lower 32 bits only.
    if (::syscall(SYS_close, static_cast<long>(o.child_fd) | (1L << 32)) != -1) return 2;
    return signal_by(o.child_fd, 0) == 0 ? 0 : 3;
  }));
  expect_killed_for([](const Others&) { return ::syscall(SYS_close_range, 3, 99, 0); });
  expect_killed_for(
      [](const Others& o) { return static_cast<long>(::dup2(o.stranger_fd, o.child_fd)); });
  expect_killed_for([](const Others& o) {
    return static_cast<long>(::dup3(o.stranger_fd, o.child_fd, O_CLOEXEC));
  });
  expect_killed_for([](const Others& o) {
    return static_cast<long>(::fcntl(o.stranger_fd, F_DUPFD, o.child_fd));
  });
  // Others are closed as ever.
  expect_exit_0(act(SeccompMode::kKill, [](const Others& o) { return ::close(o.stranger_fd); }));
}

TEST_F(TakenOver, TheAgentOpensAndSignalsNothing) {
  expect_exit_0(sys::in_child([] {
    if (!enter_agent_sandbox(SeccompMode::kLog, AgentWork::kHandOvers)) return 99;
    for (const char* path : kSecrets) {
      if (::open(path, O_RDONLY | O_CLOEXEC) != -1) return 1;
    }
    return ::kill(::getppid(), 0) == -1 ? 0 : 2;
  }));
  const auto expect_agent_killed = [](const std::function<long(const Others&)>& body) {
    const int status = sys::in_child([&] {
      const Others others = Others::start();
      if (!enter_agent_sandbox(SeccompMode::kKill, AgentWork::kHandOvers)) return 99;
      (void)body(others);
      return 0;
    });
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    EXPECT_EQ(WTERMSIG(status), SIGSYS);
  };
  expect_agent_killed([](const Others& o) { return signal_by(o.stranger_fd, 0); });
  expect_agent_killed([](const Others& o) { return static_cast<long>(::kill(o.stranger, 0)); });
  expect_agent_killed(
      [](const Others&) { return static_cast<long>(::open("/etc/passwd", O_RDONLY | O_CLOEXEC)); });
}

TEST_F(TakenOver, TheAgentMakesSocketsAndConfiguresNothingWithThem) {
  expect_exit_0(sys::in_child([] {
    if (!enter_agent_sandbox(SeccompMode::kKill, AgentWork::kSockets)) return 99;
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in any{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {}, .sin_zero = {}};
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) return 1;
    if (::listen(fd.get(), 1) != 0) return 2;
    // Of whoever may change the network (socket(7), raw(7)).
    const int mark = 1;
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != -1) return 3;
    return UniqueFd(::socket(AF_INET, SOCK_RAW, IPPROTO_RAW)).valid() ? 4 : 0;
  }));
}

// Without the filter, as when it only logs: Landlock alone.
TEST_F(TakenOver, LandlockClosesFilesByItself) {
  const std::string allowed = "/etc";
  const int status = sys::in_child([&] {
    if (!drop_privileges()) return 99;
    const auto confined = confine_files({&allowed, 1}, AbstractSockets::kOwn);
    if (!confined) return 98;
    if (*confined == Confined::kNotByKernel) return sys::kNotPermitted;
    if (!UniqueFd(::open("/etc/passwd", O_RDONLY | O_CLOEXEC)).valid()) return 1;
    if (UniqueFd(::open("/etc/passwd", O_WRONLY | O_CLOEXEC)).valid()) return 2;
    if (::mkdir("/tmp/sluice-landlock", 0700) == 0) return 3;
    if (UniqueFd(::open("/proc/self/environ", O_RDONLY | O_CLOEXEC)).valid()) return 4;
    if (!confine_files({}, AbstractSockets::kOwn)) return 5;
    return UniqueFd(::open("/etc/passwd", O_RDONLY | O_CLOEXEC)).valid() ? 6 : 0;
  });
  if (WIFEXITED(status) && WEXITSTATUS(status) == sys::kNotPermitted) GTEST_SKIP() << "no Landlock";
  expect_exit_0(status);
}

TEST(SandboxMode, FromTheEnvironment) {
  if (sanitized()) GTEST_SKIP() << "built with a sanitizer";
  ::setenv("SLUICE_SECCOMP", "log", 1);
  EXPECT_EQ(seccomp_mode_from_environment(), SeccompMode::kLog);
  ::setenv("SLUICE_SECCOMP", "off", 1);
  EXPECT_EQ(seccomp_mode_from_environment(), SeccompMode::kOff);
  ::setenv("SLUICE_SECCOMP", "of", 1);
  EXPECT_EQ(seccomp_mode_from_environment(), SeccompMode::kKill);
  ::unsetenv("SLUICE_SECCOMP");
}

}  // namespace
}  // namespace sluice::sandbox
