// The tap of a guest in a network namespace: how it is set up there, and its queues as links. Where
// there is no /dev/net/tun, or we may not open it, a veth pair with packet sockets stands for it.
#pragma once

#include <cstddef>
#include <expected>
#include <string>

#include "netns/guest_namespace.h"
#include "netns/pending_guest.h"
#include "serve/guest.h"
#include "sys/kernel.h"
#include "sys/setup_error.h"

namespace sluice::serve {

struct TapPlan {
  std::string interface = "tap0";
  // Without it a program that has an IPv4 and an IPv6 address of a name prefers IPv6 (RFC 6724,
  // rule 1), and IPv4 fails at once, as it does on the host. Our own addresses are reached.
  bool ipv4_default_route = true;
  bool configured = true;   // See netns::InterfacePlan,
  bool loopback_up = true;  // and here.
};

[[nodiscard]] netns::InterfacePlan interface_of(const TapPlan& plan, const GuestSetting& setting);
// With a queue for each worker.
[[nodiscard]] netns::LinkOpener tap_opener(const TapPlan& plan, const GuestSetting& setting);
// Whether the guest's agent is to hand connections over, or to make sockets alone.
[[nodiscard]] bool agent_hands_over(const GuestSetting& setting);
// How many workers talk to it; none: there is to be no agent.
[[nodiscard]] std::size_t agent_channels_of(const GuestSetting& setting);

// Where a link is gone: one of a veth pair goes with its namespace, while the process that held
// that still ends. Blocks until it has, for a fifth of a second at most.
void await_end(int pidfd);

// Blocks until the guest has set itself up; says what it could not have.
[[nodiscard]] std::expected<GuestEnds, sys::SetupError> await_tap(netns::PendingGuest& pending,
                                                                  sys::Kernel& kernel);

}  // namespace sluice::serve
