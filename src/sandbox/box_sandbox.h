// What is left to the threads of a box beside its workers: those that run the guest's processors,
// and the one that serves its devices.
//
// Threat model: a guest that breaks out of its kernel stands in a processor's thread, by a mistake
// of KVM's users (us) or in the registers of a device. It has the guest's memory, which it had
// before, KVM_RUN, and descriptors that are open; it opens no file, makes no socket and no
// process, and signals none but this one.
#pragma once

#include <expected>

#include "sandbox/seccomp_filter.h"
#include "sys/setup_error.h"

namespace sluice::sandbox {

// Of the calling thread, at once and for good: capabilities, new privileges, files, and what is not
// in its list. It is one of several in a process whose other threads do it for themselves.
[[nodiscard]] std::expected<void, sys::SetupError> confine_vcpu(SeccompMode mode);
[[nodiscard]] std::expected<void, sys::SetupError> confine_device_thread(SeccompMode mode);

}  // namespace sluice::sandbox
