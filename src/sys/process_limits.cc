#include "sys/process_limits.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "base/unique_fd.h"

namespace sluice::sys {

std::expected<std::uint64_t, SysError> raise_fd_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return std::unexpected(last_error(SysOp::kResourceLimit));
  }
  if (limit.rlim_cur == limit.rlim_max) return limit.rlim_cur;
  const std::uint64_t before = limit.rlim_cur;
  if (const auto set = set_fd_soft_limit(limit.rlim_max); !set) return std::unexpected(set.error());
  return before;
}

std::uint64_t fd_soft_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

std::expected<void, SysError> set_fd_soft_limit(std::uint64_t soft) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return std::unexpected(last_error(SysOp::kResourceLimit));
  }
  limit.rlim_cur = soft;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return std::unexpected(last_error(SysOp::kResourceLimit));
  }
  return {};
}

void grow_fd_table() {
  const std::uint64_t count = std::min(fd_soft_limit(), kFdTableMax);
  if (count == 0) return;
  // The table stays as large as the largest number in it once was.
  const UniqueFd last(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, static_cast<int>(count - 1)));
}

std::uint32_t usable_cores() {
  // The kernel refuses a set that is smaller than its own.
  for (int cores = CPU_SETSIZE; cores <= 64 * CPU_SETSIZE; cores *= 2) {
    const std::size_t size = CPU_ALLOC_SIZE(cores);
    cpu_set_t* const set = CPU_ALLOC(cores);
    const bool known = set != nullptr && ::sched_getaffinity(0, size, set) == 0;
    const int count = known ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (count > 0) return static_cast<std::uint32_t>(count);
  }
  return 1;
}

std::uint64_t physical_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long size = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || size <= 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size);
}

}  // namespace sluice::sys
