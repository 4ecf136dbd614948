// A resolv.conf of our own over /etc/resolv.conf, seen in the calling process's mount namespace
// only. The contents live in an unlinked-on-exit tmpfs: no file is left anywhere.
#pragma once

#include <expected>
#include <string_view>

#include "host/setup_error.h"

namespace sluice::host {

// Makes every mount a slave, so that nothing mounted later propagates to the outside. Call it
// first, in a fresh mount namespace.
[[nodiscard]] std::expected<void, SetupError> isolate_mounts();

// Needs isolate_mounts() before it. Follows a symbolic link at /etc/resolv.conf. On failure the
// namespace is as it was and the error names the step.
[[nodiscard]] std::expected<void, SetupError> mount_resolv_conf(std::string_view contents);

}  // namespace sluice::host
