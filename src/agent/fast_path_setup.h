// What the fast path needs in the guest's namespaces, made while the agent still has all its
// privileges: rules and routes, and the raw sockets by which each worker puts packets on the
// guest's loopback.
#pragma once

#include <cstddef>
#include <expected>
#include <vector>

#include "agent/agent_process.h"
#include "agent/divert.h"
#include "sys/kernel.h"
#include "sys/setup_error.h"

namespace sluice::agent {

// Of one worker, which has its own: what the kernel keeps for a socket is not shared then. Invalid
// where the guest has no such family.
struct InjectSockets {
  sys::KernelFd v4;
  sys::KernelFd v6;
};

struct FastPathPieces {
  Divert divert;
  std::vector<InjectSockets> inject;  // By worker.
};

// In the network namespace of the calling process, for so many workers. An error names the piece
// that cannot be had.
[[nodiscard]] std::expected<FastPathPieces, sys::SetupError> set_up_fast_path(
    const AgentContext& context, std::size_t workers);

}  // namespace sluice::agent
