#include "sandbox/empty_root.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::sandbox {
namespace {

constexpr int kNotPermitted = 99;

// What a process finds that has entered it; kNotPermitted where it could not.
template <typename Look>
int status_of(const Look& look) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(enter_empty_root() ? look() : kNotPermitted);
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int entries_of_root() {
  int count = 0;
  DIR* const root = ::opendir("/");
  if (root == nullptr) return -1;
  for (const dirent* entry = ::readdir(root); entry != nullptr; entry = ::readdir(root)) ++count;
  ::closedir(root);
  return count;
}

TEST(EmptyRoot, HasNothingInItAndTakesNothing) {
  const int status = status_of([] {
    if (entries_of_root() != 2) return 1;  // "." and "..".
    if (::open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != ENOENT) return 2;
    if (::open("../../etc/passwd", O_RDONLY | O_CLOEXEC) >= 0) return 3;
    if (::open("/made", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0) return 4;
    if (::mkdir("/made", 0700) == 0) return 5;
    return 0;
  });
  if (status == kNotPermitted) GTEST_SKIP() << "user namespaces are not permitted here";
  EXPECT_EQ(status, 0);
}

TEST(EmptyRoot, LeavesWhatIsOpenAndWhoWeAre) {
  const int file = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(file, 0);
  const uid_t user = ::geteuid();
  const int status = status_of([&] {
    char byte = 0;
    if (::read(file, &byte, 1) != 1) return 1;
    return ::geteuid() == user ? 0 : 2;
  });
  ::close(file);
  if (status == kNotPermitted) GTEST_SKIP() << "user namespaces are not permitted here";
  EXPECT_EQ(status, 0);
}

TEST(EmptyRoot, IsItsProcessesAlone) {
  const int before = entries_of_root();
  const int status = status_of([] { return 0; });
  if (status == kNotPermitted) GTEST_SKIP() << "user namespaces are not permitted here";
  EXPECT_EQ(entries_of_root(), before);
  EXPECT_EQ(::access("/proc/self/status", R_OK), 0);
}

}  // namespace
}  // namespace sluice::sandbox
