// What the thread of a port forwarder that does not forward gives up, once everything is open.
//
// Threat model: it reads answers of name servers and of targets that are checked, and shares its
// memory with the workers. It goes on opening files, sockets and the program that takes over, and
// makes that process; so this is a list of what is refused, with EPERM: to look into, change or
// signal other processes, to change namespaces, mounts or the user, to load code into the kernel,
// and the interfaces that the kernel's own mistakes are found in most (bpf, io_uring, keys, exotic
// sockets).
//
// The program that takes over inherits it, and asks for it anew: what is in force is not added
// again.
#pragma once

#include <expected>

#include "sandbox/seccomp_filter.h"
#include "sys/setup_error.h"

namespace sluice::sandbox {

// Of the calling thread and what it starts, for good. It needs no_new_privs.
[[nodiscard]] std::expected<void, sys::SetupError> confine_supervisor(SeccompMode mode);

}  // namespace sluice::sandbox
