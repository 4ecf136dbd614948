// A root without files, for a process that has open what it needs: whoever takes it over has no
// path to anything, whatever the rest of its sandbox forgot. The process itself sees it; others do
// not. Needs a user namespace where the process may not mount.
#pragma once

#include <expected>

#include "sys/setup_error.h"

namespace sluice::sandbox {

// Of the whole process, which has one thread, for good. Descriptors stay, those of directories too.
// An error where that is not permitted, or not to be had here: the process then sees the files that
// it saw, and may go on.
[[nodiscard]] std::expected<void, sys::SetupError> enter_empty_root();

}  // namespace sluice::sandbox
