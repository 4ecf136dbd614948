#include "sandbox/box_sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <functional>
#include <initializer_list>
#include <memory>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "unit/sys/loopback.h"

namespace sluice::sandbox {
namespace {

using Role = std::expected<void, sys::SetupError> (*)(SeccompMode);

// Acts as a guest would that has broken out: in a thread beside others, as they are.
class ConfinedThread : public ::testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("SLUICE_SECCOMP");
    if (seccomp_mode_from_environment() == SeccompMode::kOff) GTEST_SKIP() << "a sanitizer's build";
  }
  static int act(Role role, const std::function<int()>& body) {
    return sys::in_child([&] {
      int answer = 99;
      std::thread([&] { answer = role(SeccompMode::kKill) ? body() : 97; }).join();
      return answer;
    });
  }
  static void expect_exit_0(int status) {
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  static void expect_killed_for(Role role, const std::function<long()>& body) {
    const int status = act(role, [&] {
      (void)body();
      return 0;
    });
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    EXPECT_EQ(WTERMSIG(status), SIGSYS);
  }
};

class BrokenOutGuest : public ConfinedThread, public ::testing::WithParamInterface<Role> {};

INSTANTIATE_TEST_SUITE_P(OfARole, BrokenOutGuest,
                         ::testing::Values(&confine_vcpu, &confine_device_thread),
                         [](const ::testing::TestParamInfo<Role>& role) {
                           return role.param == &confine_vcpu ? "Vcpu" : "DeviceThread";
                         });

TEST_P(BrokenOutGuest, OpensNothing) {
  expect_exit_0(act(GetParam(), [] {
    for (const char* path : {"/etc/passwd", "/dev/kvm", "/proc/self/mem", "/"}) {
      if (::open(path, O_RDONLY | O_CLOEXEC) != -1 || errno != EACCES) return 1;
    }
    return 0;
  }));
  expect_killed_for(GetParam(), [] { return ::open("/dev/kvm", O_RDWR | O_CLOEXEC); });
  expect_killed_for(GetParam(), [] { return ::syscall(SYS_memfd_create, "x", 0); });
}

TEST_P(BrokenOutGuest, MakesNoSocketAndNoProcess) {
  expect_killed_for(GetParam(), [] { return ::socket(AF_INET, SOCK_STREAM, 0); });
  expect_killed_for(GetParam(), [] { return ::socket(AF_UNIX, SOCK_STREAM, 0); });
  expect_killed_for(GetParam(), [] { return ::fork(); });
  expect_killed_for(GetParam(), [] { return ::syscall(SYS_clone3, nullptr, 0); });
  expect_killed_for(GetParam(), [] { return ::execl("/bin/true", "true", nullptr); });
  expect_killed_for(GetParam(), [] {
    return reinterpret_cast<long>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  });
}

TEST_P(BrokenOutGuest, SignalsNobodyElse) {
  const pid_t stranger = ::getpid();
  expect_killed_for(GetParam(), [stranger] { return ::kill(stranger, 0); });
  expect_killed_for(GetParam(),
                    [stranger] { return ::syscall(SYS_tgkill, stranger, stranger, 0); });
}

TEST_P(BrokenOutGuest, ChangesNoMachine) {
  for (const unsigned long request : std::initializer_list<unsigned long>{
           KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_SET_USER_MEMORY_REGION, KVM_SET_SREGS, KVM_IRQFD}) {
    expect_killed_for(GetParam(), [request] { return ::ioctl(-1, request, 0); });
  }
}

// What it is for still works. Of KVM, the filter lets it ask; a descriptor that is none answers.
TEST_F(ConfinedThread, StillRunsAsAVcpu) {
  const UniqueFd bell(::eventfd(0, EFD_CLOEXEC));
  expect_exit_0(act(&confine_vcpu, [&bell] {
    if (::ioctl(-1, KVM_RUN, 0) != -1 || errno != EBADF) return 1;
    const std::uint64_t one = 1;
    if (::write(bell.get(), &one, sizeof one) != sizeof one) return 2;
    if (::syscall(SYS_tgkill, ::getpid(), ::gettid(), 0) != 0) return 3;
    // An arena of the thread's own.
    for (int round = 0; round < 3; ++round) {
      std::vector<std::unique_ptr<char[]>> blocks;
      for (int i = 0; i < 1000; ++i) blocks.push_back(std::make_unique<char[]>(100'000));
    }
    return 0;
  }));
}

TEST_F(ConfinedThread, StillServesDevices) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  expect_exit_0(act(&confine_device_thread, [&ours] {
    if (::ioctl(-1, KVM_IRQ_LINE, 0) != -1 || errno != EBADF) return 1;
    iovec part{.iov_base = const_cast<char*>("x"), .iov_len = 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    return ::sendmsg(ours.get(), &message, 0) == 1 ? 0 : 2;
  }));
}

}  // namespace
}  // namespace sluice::sandbox
