#include "host/sandbox.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include <array>
#include <vector>

#include "host/event_loop.h"
#include "host/tcp_socket.h"
#include "host/udp_socket.h"
#include "loopback.h"

namespace sluice::host {
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
    return in_child([&] { return enter_sandbox(mode) ? body() : 99; });
  }
  static void expect_killed(const std::function<int()>& body) {
    const int status = inside(SeccompMode::kKill, body);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    EXPECT_EQ(WTERMSIG(status), SIGSYS);
  }
};

TEST_F(Sandbox, DataPathWorks) {
  const int status = inside(SeccompMode::kKill, [] {
    Kernel& kernel = real_kernel();
    auto loop = EventLoop::create(kernel);
    auto tcp = TcpSocket::connect(kernel, {ip("127.0.0.1"), wire::Port{9}});
    auto udp = UdpSocket::open(kernel, wire::IpFamily::kV4);
    if (!loop || !udp) return 1;
    if (!loop->add(udp->fd(), EPOLLIN, 1)) return 2;
    std::array<epoll_event, 4> events{};
    if (!loop->wait(events, loop->now(), loop->now())) return 3;
    if (tcp) {
      (void)tcp->unacknowledged_bytes();
      (void)tcp->readable_bytes();
    }
    const std::vector<char> large(std::size_t{64} << 20, 'x');
    const UniqueFd file(::open("/etc/hosts", O_RDONLY | O_CLOEXEC));
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
  const int status = in_child([] {
    if (!drop_privileges()) return 1;
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 2;
    if (::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return 3;
    return ::unshare(CLONE_NEWNET) == -1 && errno == EPERM ? 0 : 4;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
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
}  // namespace sluice::host
