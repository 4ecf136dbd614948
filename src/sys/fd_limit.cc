#include "sys/fd_limit.h"

#include <fcntl.h>
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

}  // namespace sluice::sys
