// What this process may have of the machine: open descriptors, with the kernel's table of them,
// cores and memory.
#pragma once

#include <cstdint>
#include <expected>

#include "sys/sys_error.h"

namespace sluice::sys {

// Raises the soft limit to the hard one; returns the soft limit as it was.
[[nodiscard]] std::expected<std::uint64_t, SysError> raise_fd_limit();

// The soft limit as it is.
[[nodiscard]] std::uint64_t fd_soft_limit();

// Sets the soft limit: for a command that must not inherit the raised one, since programs that
// use select(2) rely on it.
[[nodiscard]] std::expected<void, SysError> set_fd_soft_limit(std::uint64_t limit);

// Has the kernel make its table of our descriptors large enough for all that the limit allows, up
// to kFdTableMax (8 bytes each). It doubles by itself; but once the process has threads the one
// that needs a larger table waits for all cores, 15 ms, with every connection it serves. So before
// the first thread; where it fails nothing is lost but that. Needs standard input to be open.
inline constexpr std::uint64_t kFdTableMax = 65'536;
void grow_fd_table();

// How many cores this process may run on; one at least.
[[nodiscard]] std::uint32_t usable_cores();

// Bytes of memory that the machine has; zero where nobody says.
[[nodiscard]] std::uint64_t physical_memory();

}  // namespace sluice::sys
