// What the serving process gives up before the first byte of the guest is read: capabilities,
// new privileges, being traced, files, and every system call that the data path does not need.
//
// Threat model: a guest that takes over this process must gain nothing but sockets. It opens no
// file, not even for reading, and signals no process but the guest's own.
#pragma once

#include <cstdint>
#include <expected>

#include "sandbox/seccomp_filter.h"
#include "sys/setup_error.h"

namespace sluice::sandbox {

enum class Rights : std::uint8_t {
  kNone,
  kPorts,  // CAP_NET_BIND_SERVICE, of whoever has it: ports below 1024 are published later.
};

// All of it, at once and for good. Everything that needs privileges, a file or a thread must be
// open or running by now. `child` is the pidfd of the one process that may still be signalled: its
// number is never closed again before the process ends. Negative: there is none.
[[nodiscard]] std::expected<void, sys::SetupError> enter_sandbox(SeccompMode mode, int child,
                                                                 Rights rights = Rights::kNone);

enum class AgentWork : std::uint8_t {
  kSockets,    // Plain ones. It keeps CAP_NET_BIND_SERVICE.
  kHandOvers,  // These as well: it keeps the right to change the guest's network.
};

// The same for the process that works in the guest's namespaces (agent.h). It keeps the rights
// that it works with and a few calls, of sockets mostly.
[[nodiscard]] std::expected<void, sys::SetupError> enter_agent_sandbox(SeccompMode mode,
                                                                       AgentWork work);

// The filter of enter_sandbox() alone.
[[nodiscard]] std::expected<void, sys::SetupError> restrict_system_calls(SeccompMode mode,
                                                                         int child);

}  // namespace sluice::sandbox
