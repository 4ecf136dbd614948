#include "sys/descriptors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "unit/sys/loopback.h"

namespace sluice::sys {
namespace {

bool is_dev_null(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

// Every choice of closed ones, as bits.
TEST(StandardDescriptors, ClosedOnesAreFilledAndOthersStay) {
  for (int closed = 0; closed < 8; ++closed) {
    const int status = in_child([closed] {
      const UniqueFd other(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      for (int fd = 0; fd <= 2; ++fd) {
        if ((closed & (1 << fd)) != 0) {
          ::close(fd);
        } else {
          ::dup2(other.get(), fd);
        }
      }
      if (!fill_standard_descriptors()) return 10;
      for (int fd = 0; fd <= 2; ++fd) {
        if (is_dev_null(fd) != ((closed & (1 << fd)) != 0)) return 20 + fd;
        if (::fcntl(fd, F_GETFD) != 0) return 30 + fd;  // Nor closed by exec.
      }
      return 0;
    });
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "closed: " << closed;
  }
}

}  // namespace
}  // namespace sluice::sys
