// Sockets to targets, as a rule's socket options ask for.
#pragma once

#include <cerrno>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/time.h"
#include "forward/plan.h"
#include "forward/target/target_set.h"
#include "host/stream_connect.h"
#include "host/udp_socket.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::forward {

// Connected. With `transparent` it sends from the client's own endpoint.
// `target` has an endpoint.
[[nodiscard]] std::expected<host::UdpSocket, sys::SysError> open_datagram_target(
    sys::Kernel& kernel, const SocketPlan& plan, const Destination& target,
    const wire::Endpoint& client);

// With fast open a connect succeeds at once and fails with the first bytes.
enum class FastOpen : std::uint8_t { kNever, kAsPlanned };

// Connected or connecting. With `transparent` it connects from the client's own endpoint.
[[nodiscard]] std::expected<host::StartedConnect, sys::SysError> open_stream_target(
    sys::Kernel& kernel, const SocketPlan& plan, const Destination& target,
    const wire::Endpoint& client, FastOpen fast_open);

// Tries `destination`, then those that `targets` names after it; a lack of descriptors is no fault
// of a target's, and the end. `connect` takes a Destination and returns
// std::expected<void, sys::SysError>. Zero, or the errno of the last: none is left, and
// no target is in use any more.
template <typename Connect>
[[nodiscard]] int connect_to_any(TargetSet& targets, Attempt& attempt,
                                 std::optional<Destination> destination, Instant now,
                                 const Connect& connect) {
  int error = EHOSTUNREACH;  // No target has an address.
  for (; destination; destination = targets.next(attempt, now)) {
    const std::expected<void, sys::SysError> connected = connect(*destination);
    if (connected) return 0;
    error = connected.error().error;
    if (sys::is_exhaustion(error)) {
      targets.ended(destination->target);
      return error;
    }
  }
  return error;
}

}  // namespace sluice::forward
