// A step of the guest's set-up: done, or what failed, in words for the person outside. Also what
// must be said while nobody outside hears: it goes to the kernel's log, which the console shows.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "sys/setup_error.h"

namespace sluice::box {

using Step = std::expected<void, sys::SetupError>;

// Takes errno.
[[nodiscard, gnu::cold]] std::unexpected<sys::SetupError> step_failed(std::string step,
                                                                      std::string hint = "");

void say_in_kernel_log(std::string_view text);
[[nodiscard]] std::string in_words(const sys::SetupError& error);

// Since the kernel started.
[[nodiscard]] std::uint64_t nanoseconds_since_boot();

// Writes what a file in /proc or /sys is to be set to.
[[nodiscard]] Step write_setting(const std::string& path, std::string_view value);

// The text of a small file, without its last line's end; empty where it cannot be read.
[[nodiscard]] std::string read_line(const std::string& path);

// Makes a directory and those above it; what there is stays as it is.
[[nodiscard]] Step make_directories(const std::string& path);

}  // namespace sluice::box
