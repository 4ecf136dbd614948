// Sockets to targets, as a rule's socket options ask for.
#pragma once

#include <expected>

#include "forward/plan.h"
#include "forward/target_set.h"
#include "host/kernel.h"
#include "host/stream_connect.h"
#include "host/sys_error.h"
#include "host/udp_socket.h"
#include "wire/address.h"

namespace sluice::forward {

// Connected. With `transparent` it sends from the client's own endpoint.
[[nodiscard]] std::expected<host::UdpSocket, host::SysError> open_datagram_target(
    host::Kernel& kernel, const SocketPlan& plan, const wire::Endpoint& target,
    const wire::Endpoint& client);

// Connected or connecting. Without fast open: an unreachable target must be known as such before
// the first datagram goes, or no other would be tried.
[[nodiscard]] std::expected<host::StartedConnect, host::SysError> open_stream_target(
    host::Kernel& kernel, const SocketPlan& plan, const Destination& target,
    const wire::Endpoint& client);

}  // namespace sluice::forward
