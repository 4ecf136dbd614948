// Sockets to targets, as a rule's socket options ask for.
#pragma once

#include <cstdint>
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

// With fast open a connect succeeds at once and fails with the first bytes.
enum class FastOpen : std::uint8_t { kNever, kAsPlanned };

// Connected or connecting. With `transparent` it connects from the client's own endpoint.
[[nodiscard]] std::expected<host::StartedConnect, host::SysError> open_stream_target(
    host::Kernel& kernel, const SocketPlan& plan, const Destination& target,
    const wire::Endpoint& client, FastOpen fast_open);

}  // namespace sluice::forward
