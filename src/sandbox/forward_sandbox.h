// What is left to a port forwarder's workers: the calls of forward::Worker, and no file at all.
//
// Threat model: whoever takes over a worker by what he sends gains sockets. As long as he runs in
// its thread: it shares its memory with the supervisor, whose rights are supervisor_sandbox.h's.
#pragma once

#include <expected>

#include "sandbox/seccomp_filter.h"
#include "sys/setup_error.h"

namespace sluice::sandbox {

// Of the calling thread only, for good. What it needs of files is open: logs by the supervisor, the
// time zone by tzset(). It needs no_new_privs.
[[nodiscard]] std::expected<void, sys::SetupError> confine_worker(SeccompMode mode);

}  // namespace sluice::sandbox
