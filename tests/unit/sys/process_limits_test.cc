#include "sys/process_limits.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <fstream>

#include "unit/sys/loopback.h"

namespace sluice::sys {
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

// As the kernel tells it.
std::uint64_t fd_table_size() {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    std::uint64_t size = 0;
    if (word == "FDSize:" && file >> size) return size;
  }
  return 0;
}

TEST(FdLimit, TheTableGrowsBeforehandAndNothingStaysOpen) {
  const int status = in_child([] {
    const rlimit limit{.rlim_cur = 3000, .rlim_max = 3000};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
    if (fd_table_size() >= 3000) return 2;
    grow_fd_table();
    if (fd_table_size() < 3000) return 3;
    return ::fcntl(2999, F_GETFD) == -1 && errno == EBADF ? 0 : 4;
  });
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(UsableCores, AreThoseThatTheProcessMayRunOn) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_EQ(usable_cores(), static_cast<std::uint32_t>(CPU_COUNT(&before)));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++core) {
    if (CPU_ISSET(core, &before)) CPU_SET(core, &one);
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(usable_cores(), 1U);
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
}

TEST(PhysicalMemory, IsThatOfTheMachine) {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::uint64_t kib = 0;
  file >> name >> kib;
  EXPECT_EQ(name, "MemTotal:");
  EXPECT_NEAR(static_cast<double>(physical_memory()), static_cast<double>(kib) * 1024, 1e6);
}

}  // namespace
}  // namespace sluice::sys
