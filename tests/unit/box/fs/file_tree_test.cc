#include "box/fs/file_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
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
    ASSERT_EQ(::mkdir((directory_ + "/shared").c_str(), 0755), 0);
    std::ofstream(directory_ + "/shared/file") << "content";
    for (const char* const name : {"", "/shared"}) {
      ASSERT_EQ(::chown((directory_ + name).c_str(), GetParam(), GetParam()), 0);
    }
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
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
    const auto place = mount_tree({.directory = directory_});
    if (!place) return 1;
    if (::access((*place + "/file").c_str(), R_OK) != 0) return 2;
    if (create(*place + "/new") >= 0 || errno != EROFS) return 3;
    return 0;
  });
}

TEST_P(MountTest, AWritableOneIsWritten) {
  check([this] {
    const auto place = mount_tree({.directory = directory_, .access = TreeAccess::kWritable});
    if (!place) return 1;
    return create(*place + "/new") >= 0 ? 0 : 2;
  });
}

// A server that takes names apart as it should not would find the host's tree there.
TEST_P(MountTest, NothingElseIsWritten) {
  for (const TreeAccess access : {TreeAccess::kReadOnly, TreeAccess::kWritable}) {
    check([&, this] {
      const std::string shared = directory_ + "/shared";
      if (!mount_tree({.directory = shared, .access = access})) return 1;
      for (const std::string& other : {directory_ + "/new", shared + "/new"}) {
        if (create(other) >= 0 || errno != EROFS) return 2;
      }
      return ::access((directory_ + "/file").c_str(), R_OK) == 0 ? 0 : 3;
    });
  }
}

// As one would be with its own flags, to be written.
TEST_P(MountTest, WhatIsMountedOnTheHostLaterIsNotThere) {
  if (GetParam() != 0) GTEST_SKIP() << "only root mounts on the host";
  check([this] {
    // We are the host now, whose mounts are seen by others.
    if (::mount("none", "/", nullptr, MS_REC | MS_SHARED, nullptr) != 0) return 1;
    std::array<int, 2> ready{};
    std::array<int, 2> mounted{};
    char byte = 0;
    if (::pipe(ready.data()) != 0 || ::pipe(mounted.data()) != 0) return 2;
    const pid_t server = ::fork();
    if (server == 0) {
      if (!enter_own_namespaces()) ::_exit(kCannot);
      const auto place = mount_tree({.directory = directory_});
      (void)!::write(ready[1], "x", 1);
      (void)!::read(mounted[0], &byte, 1);
      ::_exit(place && ::access((*place + "/shared/file").c_str(), F_OK) == 0 ? 0 : 3);
    }
    (void)!::read(ready[0], &byte, 1);
    if (::mount("none", (directory_ + "/shared").c_str(), "tmpfs", 0, nullptr) != 0) return 4;
    (void)!::write(mounted[1], "x", 1);
    int status = 0;
    ::waitpid(server, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
  });
}

// mount(2) follows it.
TEST_P(MountTest, ALinkLeadsToTheSameAsItsPlace) {
  ASSERT_EQ(::symlink("/", (directory_ + "/link").c_str()), 0);
  check([this] {
    const auto place = mount_tree({.directory = directory_ + "/link"});
    if (!place) return 1;
    if (::access((*place + "/proc/self").c_str(), F_OK) == 0) return 2;
    if (::access((*place + "/dev/null").c_str(), F_OK) == 0) return 3;
    return ::access((*place + "/etc/passwd").c_str(), R_OK) == 0 ? 0 : 4;
  });
}

TEST_P(MountTest, WhatIsHiddenIsEmptyAndNotWritten) {
  check([this] {
    const auto place = mount_tree({.directory = directory_,
                                   .access = TreeAccess::kWritable,
                                   .hidden = {directory_ + "/shared", "/etc", "/nowhere"}});
    if (!place) return 1;
    if (::access((*place + "/shared/file").c_str(), F_OK) == 0) return 2;
    if (create(*place + "/shared/new") >= 0) return 3;
    return create(*place + "/new") >= 0 ? 0 : 4;
  });
  check([this] {
    const auto place =
        mount_tree({.directory = directory_ + "/shared", .hidden = {directory_ + "/shared"}});
    return place && ::access((*place + "/file").c_str(), F_OK) != 0 ? 0 : 1;
  });
}

TEST_P(MountTest, TheRootHasNoProcessesAndDevicesInIt) {
  check([] {
    const auto place = mount_tree({.directory = "/"});
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
  check([this] { return mount_tree({.directory = directory_}) ? 0 : 1; });
  EXPECT_EQ(::access("/mnt/file", F_OK), -1);
  EXPECT_EQ(::access((directory_ + "/file").c_str(), W_OK), 0);
}

TEST_P(MountTest, WhatIsNotThereIsAnError) {
  check([] { return mount_tree({.directory = "/nowhere/at/all"}) ? 1 : 0; });
}

INSTANTIATE_TEST_SUITE_P(Users, MountTest, testing::Values(0, 1000));

}  // namespace
}  // namespace sluice::box
