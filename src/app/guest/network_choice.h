// What the guest's network becomes on this host: another one by default where the usual would hide
// a network of the host's, and no IPv4 default route where the host reaches nothing by IPv4. A pure
// function, so that every host can be tried in a test.
#pragma once

#include <string>
#include <vector>

#include "app/guest/guest_options.h"
#include "flow/core/guest_network.h"
#include "netlink/host_routes.h"

namespace sluice::app {

struct NetworkChoice {
  flow::GuestNetwork network;
  // Without it a program that has an IPv4 and an IPv6 address of a name prefers IPv6 (RFC 6724,
  // rule 1), and IPv4 fails at once, as it does on the host. Our own addresses are reached.
  bool ipv4_default_route = true;
  std::vector<std::string> warnings;
};

[[nodiscard]] NetworkChoice choose_network(const GuestOptions& options,
                                           const netlink::HostRoutes& routes);

}  // namespace sluice::app
