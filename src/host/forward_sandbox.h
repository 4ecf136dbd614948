// The system calls that are left to a port forwarder's workers once its listeners are open.
//
// Threat model: whoever takes over a worker by what he sends gains sockets, and files that
// everybody may read. The supervisor executes another program when it hands over, so it has no
// filter.
#pragma once

#include <expected>

#include "host/seccomp_filter.h"
#include "host/setup_error.h"

namespace sluice::host {

// Of the calling thread only, for good; the calls that are left are those of forward::Worker.
[[nodiscard]] std::expected<void, SetupError> confine_worker(SeccompMode mode);

}  // namespace sluice::host
