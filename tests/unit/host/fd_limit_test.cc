#include "host/fd_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "loopback.h"

namespace sluice::host {
namespace {

TEST(FdLimit, SoftBecomesHardAndBack) {
  const int status = in_child([] {
    const rlimit low{.rlim_cur = 64, .rlim_max = 128};
    if (::setrlimit(RLIMIT_NOFILE, &low) != 0) return 1;
    if (raise_fd_limit() != 64U) return 2;
    rlimit raised{};
    ::getrlimit(RLIMIT_NOFILE, &raised);
    if (raised.rlim_cur != 128) return 3;
    if (!set_fd_soft_limit(64)) return 4;
    ::getrlimit(RLIMIT_NOFILE, &raised);
    return raised.rlim_cur == 64 && raised.rlim_max == 128 ? 0 : 5;
  });
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace sluice::host
