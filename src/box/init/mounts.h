// The guest's file systems: those of the first minute, then the root out of the host's directory
// and memory, and what a system has mounted in it.
#pragma once

#include <vector>

#include "box/guest/control_message.h"
#include "box/init/step.h"

namespace sluice::box {

// /proc, /sys and /dev of the first file system.
[[nodiscard]] Step mount_early();

// Makes the root of virtiofs, read-only, below a tmpfs that takes what is written, and goes there
// for good.
[[nodiscard]] Step enter_root(const Setup& setup);

// /proc, /sys, /dev, /run of that root. Returns what is good to have and was refused.
[[nodiscard]] std::expected<std::vector<sys::SetupError>, sys::SetupError> mount_system(
    const Setup& setup);

// Texts in the place of what the root has there, links included; the host's name.
[[nodiscard]] std::vector<sys::SetupError> show_files(const Setup& setup);

// Last: what we write ourselves must not go into a directory of the host's.
[[nodiscard]] Step mount_shares(const Setup& setup);

}  // namespace sluice::box
