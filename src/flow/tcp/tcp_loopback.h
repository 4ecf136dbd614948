// How a client of a published port that came by our loopback is led to a server at the guest's.
#pragma once

#include "base/time.h"
#include "base/timer_wheel.h"
#include "flow/core/action.h"
#include "flow/tcp/tcp_flow.h"

namespace sluice::flow {

// Whom to call where nobody waits at `guest`, an address of the guest's that was asked so.
[[nodiscard]] Joining after_refusal(const wire::Endpoint& guest, const SynSent& state);
// Has the driver call.
void call_guest(TcpFlow& flow, const Joining& call, TimerWheel& timers, Turn turn);
// Both sockets stand: has the driver join them. No frame leads to the flow any more.
void join(TcpFlow& flow, TimerWheel& timers, Instant idle_at, Turn turn);

}  // namespace sluice::flow
