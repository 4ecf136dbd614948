#include "netns/attach/target_namespaces.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace sluice::netns {
namespace {

std::string refused(const TargetNames& names) {
  const auto target = open_target(names);
  return target ? "" : target.error().describe();
}

TEST(TargetNamespaces, WhatIsNoNetworkNamespaceIsRefused) {
  EXPECT_TRUE(refused({.network = "/proc/self/ns/uts"}).contains("is no network namespace"));
  EXPECT_TRUE(refused({.network = "/dev/null"}).contains("is no network namespace"));
  EXPECT_TRUE(refused({.network = "/no/such/file"}).contains("open '/no/such/file'"));
  EXPECT_TRUE(refused({.process = 0x7fff'ffff}).contains("find process 2147483647"));
}

TEST(TargetNamespaces, OurOwnIsRefused) {
  EXPECT_TRUE(refused({.network = "/proc/self/ns/net"}).contains("that we are in"));
  EXPECT_TRUE(refused({.process = ::getpid()}).contains("that we are in"));
}

// A process in namespaces of its own; negative where this machine has none for us.
class Sleeper {
 public:
  Sleeper() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const char made = ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? 'y' : 'n';
      (void)!::write(ends[1], &made, 1);
      ::pause();
      ::_exit(0);
    }
    char made = 0;
    EXPECT_EQ(::read(ends[0], &made, 1), 1);
    ::close(ends[0]);
    ::close(ends[1]);
    inside_ = made == 'y';
  }
  ~Sleeper() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] bool inside() const { return inside_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  bool inside_ = false;
};

TEST(TargetNamespaces, WhoseNetworkItIsIsFound) {
  const Sleeper sleeper;
  if (!sleeper.inside()) GTEST_SKIP() << "no user namespaces here";
  const auto target = open_target({.process = sleeper.pid()});
  ASSERT_TRUE(target.has_value()) << target.error().describe();
  EXPECT_TRUE(target->network.valid());
  EXPECT_TRUE(target->process.valid());
  EXPECT_TRUE(target->user.valid());
  EXPECT_EQ(::fcntl(target->user.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(namespace_of(target->network.get()), target->id);

  const std::string path = "/proc/" + std::to_string(sleeper.pid()) + "/ns/";
  EXPECT_TRUE(
      refused({.process = sleeper.pid(), .user = path + "net"}).contains("is no user namespace"));

  const pid_t child = ::fork();
  if (child == 0) {
    if (!join(*target)) ::_exit(1);
    const int here = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    ::_exit(namespace_of(here) == target->id ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace sluice::netns
