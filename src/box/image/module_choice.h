// The modules that the guest's kernel needs before it has a root: virtio, its devices, overlay.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "sys/setup_error.h"

namespace sluice::box {

// Paths of files, in the order in which they must be loaded. `folder` is /lib/modules/VERSION, with
// what depmod(8) makes or without it; empty: all is built in, and nothing is to be loaded.
[[nodiscard]] std::expected<std::vector<std::string>, sys::SetupError> choose_modules(
    const std::string& folder);

// Writes the folder's modules.dep, as depmod(8) would, so that modules are chosen without asking
// their files each time. Not where they are compressed.
[[nodiscard]] std::expected<void, sys::SetupError> index_modules(const std::string& folder);

}  // namespace sluice::box
