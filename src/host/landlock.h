// Landlock (landlock(7)): takes the right to open files from the calling process, for good and
// without privileges. What is open already stays open.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "host/setup_error.h"

namespace sluice::host {

enum class Confined : std::uint8_t {
  kYes,
  kNotByKernel,  // It has no Landlock (before 5.13, or switched off): nothing was changed.
};

// From now on this process reads beneath `readable` (files or directories, by their paths as they
// are now) and opens, makes or removes nothing else; nor does it reach abstract UNIX sockets of
// other processes, where the kernel knows how to forbid that (6.12). Needs no_new_privs.
[[nodiscard]] std::expected<Confined, SetupError> confine_files(
    std::span<const std::string> readable);

}  // namespace sluice::host
