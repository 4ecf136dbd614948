// What the serving process gives up before the first byte of the guest is read: capabilities,
// new privileges, being traced, and every system call that the data path does not need.
//
// Threat model: a guest that takes over this process must gain nothing but sockets that it could
// already open through us, and files that are world-readable.
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

// All of it, at once and for good. Everything that needs privileges, a writable file or a thread
// must be open or running by now.
[[nodiscard]] std::expected<void, SetupError> enter_sandbox(SeccompMode mode);

// The same for the process that works in the guest's namespaces (guest_agent.h). It keeps the
// right to change that network and a few calls, of sockets mostly.
[[nodiscard]] std::expected<void, SetupError> enter_agent_sandbox(SeccompMode mode);

// The parts, for those that need one alone.
[[nodiscard]] std::expected<void, SetupError> drop_privileges();
[[nodiscard]] std::expected<void, SetupError> restrict_system_calls(SeccompMode mode);

}  // namespace sluice::host
