#include "host/fd_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "loopback.h"

namespace sluice::host {
namespace {

TEST(FdLimit, SoftBecomesHard) {
  const int status = in_child([] {
    const rlimit low{.rlim_cur = 64, .rlim_max = 128};
    if (::setrlimit(RLIMIT_NOFILE, &low) != 0) return 1;
    return raise_fd_limit() == 128U ? 0 : 2;
  });
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace sluice::host
