#include "box/fs/file_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>

namespace sluice::box {
namespace {

constexpr std::string_view kMounts =
    "24 1 0:22 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "25 24 0:23 / /proc rw shared:2 - proc proc rw\n"
    "26 24 0:24 / /sys rw shared:3 - sysfs sysfs rw\n"
    "27 26 0:25 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n"
    "28 24 0:26 / /run rw - tmpfs tmpfs rw\n"
    "29 24 0:27 / /srv/an\\040image/proc rw - proc proc rw\n"
    "a line that is none\n"
    "30 24 0:28 / /home rw - ext4 /dev/vdb rw";

TEST(FileTree, WhatTheKernelMakesUpIsHidden) {
  EXPECT_EQ(hidden_mounts(kMounts, "/"),
            (std::vector<std::string>{"dev", "proc", "srv/an image/proc", "sys", "sys/fs/cgroup"}));
}

TEST(FileTree, OfADirectoryOnlyWhatIsBelowIt) {
  EXPECT_EQ(hidden_mounts(kMounts, "/srv/an image"), std::vector<std::string>{"proc"});
  EXPECT_EQ(hidden_mounts(kMounts, "/sys"), std::vector<std::string>{"fs/cgroup"});
  EXPECT_TRUE(hidden_mounts(kMounts, "/home").empty());
  EXPECT_TRUE(hidden_mounts(kMounts, "/srv/an").empty());
}

// In a process of its own: 0 where all was well, kCannot where namespaces are not to be had.
constexpr int kCannot = 77;
int in_child(uid_t user, const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (user != 0 && (::setresgid(user, user, user) != 0 || ::setresuid(user, user, user) != 0)) {
      ::_exit(kCannot);
    }
    // A change of the user makes /proc of the process root's.
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (!enter_own_namespaces()) ::_exit(kCannot);
    ::_exit(work());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class MountTest : public testing::TestWithParam<uid_t> {
 protected:
  void SetUp() override {
    if (GetParam() != 0 && ::geteuid() != 0) GTEST_SKIP() << "it takes root to be another user";
    directory_ = "/tmp/file-tree-XXXXXX";
    ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
    std::ofstream(directory_ + "/file") << "content";
    ASSERT_EQ(::chown(directory_.c_str(), GetParam(), GetParam()), 0);
  }
  void TearDown() override {
    ::unlink((directory_ + "/file").c_str());
    ::unlink((directory_ + "/new").c_str());
    ::rmdir(directory_.c_str());
  }
  void check(const std::function<int()>& work) {
    const int result = in_child(GetParam(), work);
    if (result == kCannot) GTEST_SKIP() << "no namespaces here";
    EXPECT_EQ(result, 0);
  }
  static int create(const std::string& path) {
    return ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  }

  std::string directory_;
};

TEST_P(MountTest, AReadOnlyTreeIsReadAndNotWritten) {
  check([this] {
    const auto place = mount_tree(directory_, TreeAccess::kReadOnly);
    if (!place) return 1;
    if (::access((*place + "/file").c_str(), R_OK) != 0) return 2;
    if (create(*place + "/new") >= 0 || errno != EROFS) return 3;
    return 0;
  });
}

TEST_P(MountTest, AWritableOneIsWritten) {
  check([this] {
    const auto place = mount_tree(directory_, TreeAccess::kWritable);
    if (!place) return 1;
    return create(*place + "/new") >= 0 ? 0 : 2;
  });
}

TEST_P(MountTest, TheRootHasNoProcessesAndDevicesInIt) {
  check([] {
    const auto place = mount_tree("/", TreeAccess::kReadOnly);
    if (!place) return 1;
    if (::access((*place + "/proc/self").c_str(), F_OK) == 0) return 2;
    if (::access((*place + "/dev/null").c_str(), F_OK) == 0) return 3;
    if (::access((*place + "/etc/passwd").c_str(), R_OK) != 0) return 4;
    // The server's own.
    if (::access("/proc/self/fd", R_OK) != 0 || ::access("/dev/null", R_OK) != 0) return 5;
    return 0;
  });
}

TEST_P(MountTest, NothingOfItIsSeenOutside) {
  check([this] { return mount_tree(directory_, TreeAccess::kReadOnly) ? 0 : 1; });
  EXPECT_EQ(::access("/mnt/file", F_OK), -1);
  EXPECT_EQ(::access((directory_ + "/file").c_str(), W_OK), 0);
}

TEST_P(MountTest, WhatIsNotThereIsAnError) {
  check([] { return mount_tree("/nowhere/at/all", TreeAccess::kReadOnly) ? 1 : 0; });
}

INSTANTIATE_TEST_SUITE_P(Users, MountTest, testing::Values(0, 1000));

}  // namespace
}  // namespace sluice::box
