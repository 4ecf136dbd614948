// The limit on open descriptors.
#pragma once

#include <cstdint>
#include <expected>

#include "host/sys_error.h"

namespace sluice::host {

// Raises the soft limit to the hard one; returns the limit that now holds.
[[nodiscard]] std::expected<std::uint64_t, SysError> raise_fd_limit();

}  // namespace sluice::host
