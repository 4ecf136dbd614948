#include "host/fd_limit.h"

#include <sys/resource.h>

namespace sluice::host {

std::expected<std::uint64_t, SysError> raise_fd_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return std::unexpected(last_error(SysOp::kResourceLimit));
  }
  if (limit.rlim_cur == limit.rlim_max) return limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return std::unexpected(last_error(SysOp::kResourceLimit));
  }
  return limit.rlim_cur;
}

}  // namespace sluice::host
