#include "host/fd_limit.h"

#include <sys/resource.h>

namespace sluice::host {

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

}  // namespace sluice::host
