// What the serving process gives up before the first byte of the guest is read: capabilities,
// new privileges, being traced, files, and every system call that the data path does not need.
//
// Threat model: a guest that takes over this process must gain nothing but sockets. It opens no
// file, not even for reading, and signals no process but the guest's own.
#pragma once

#include <cstdint>
#include <expected>

#include "host/setup_error.h"

namespace sluice::host {

enum class SeccompMode : std::uint8_t {
  kKill,  // A forbidden call kills the process.
  kLog,   // It fails with EPERM and the kernel logs it: for finding what is missing.
  kOff,
};

// The environment variable SLUICE_SECCOMP: "log", "off"; anything else, or none, is kKill. In
// builds with a sanitizer, whose runtime needs more calls, it is kOff.
[[nodiscard]] SeccompMode seccomp_mode_from_environment();

// All of it, at once and for good. Everything that needs privileges, a file or a thread must be
// open or running by now. `child` is the pidfd of the one process that may still be signalled: its
// number is never closed again before the process ends. Negative: there is none.
[[nodiscard]] std::expected<void, SetupError> enter_sandbox(SeccompMode mode, int child);

// The same for the process that works in the guest's namespaces (guest_agent.h). It keeps the
// right to change that network and a few calls, of sockets mostly.
[[nodiscard]] std::expected<void, SetupError> enter_agent_sandbox(SeccompMode mode);

// The parts, for those that need one alone.
[[nodiscard]] std::expected<void, SetupError> drop_privileges();
[[nodiscard]] std::expected<void, SetupError> restrict_system_calls(SeccompMode mode, int child);

}  // namespace sluice::host
