// Plain sockets in the network namespace of the calling process, made as they are ordered and
// passed on. Whoever gets one connects it or waits by it: in the guest's network, from outside of
// it.
//
// Needs CAP_NET_BIND_SERVICE there for ports below 1024.
#pragma once

#include <expected>

#include "agent/agent.h"
#include "agent/agent_wire.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::agent {

// Non-blocking and close-on-exec.
[[nodiscard]] std::expected<sys::KernelFd, sys::SysError> make_guest_socket(
    const GuestSocket& wanted);

// Makes them and sends them in one message, or why there are fewer, or none. Waits for room in the
// channel; whoever has closed its other end misses nothing.
void answer_socket_order(int channel, const SocketOrder& order);

}  // namespace sluice::agent
