// Landlock (landlock(7)): takes the right to open files from the calling process, for good and
// without privileges. What is open already stays open.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "sys/setup_error.h"

namespace sluice::sandbox {

enum class Confined : std::uint8_t {
  kYes,
  kNotByKernel,  // It has no Landlock (before 5.13, or switched off): nothing was changed.
};

// Abstract UNIX sockets of other processes, where the kernel knows how to forbid them (6.12).
enum class AbstractSockets : std::uint8_t { kOwn, kAll };

// These hold for the calling thread, and what it starts from now on. They need no_new_privs.

// It reads beneath `readable` (files or directories, by their paths as they are now) and opens,
// makes or removes nothing else.
[[nodiscard]] std::expected<Confined, sys::SetupError> confine_files(
    std::span<const std::string> readable, AbstractSockets sockets);

// It signals nobody but this process and those that it starts, by whatever call (6.12).
[[nodiscard]] std::expected<Confined, sys::SetupError> confine_signals();

}  // namespace sluice::sandbox
