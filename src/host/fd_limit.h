// The limit on open descriptors.
#pragma once

#include <cstdint>
#include <expected>

#include "host/sys_error.h"

namespace sluice::host {

// Raises the soft limit to the hard one; returns the soft limit as it was.
[[nodiscard]] std::expected<std::uint64_t, SysError> raise_fd_limit();

// The soft limit as it is.
[[nodiscard]] std::uint64_t fd_soft_limit();

// Sets the soft limit: for a command that must not inherit the raised one, since programs that
// use select(2) rely on it.
[[nodiscard]] std::expected<void, SysError> set_fd_soft_limit(std::uint64_t limit);

}  // namespace sluice::host
