// The networks that the host has routes to, read once: so that the guest's own network hides none
// of them, and names lead the guest to addresses of a family that the host can reach.
#pragma once

#include <expected>
#include <vector>

#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::netlink {

struct HostRoutes {
  // Of either family: neither the host's own addresses, nor loopback, link-local and multicast, nor
  // what is as wide as a default route.
  std::vector<wire::Prefix> networks;
  bool default_v4 = false;
  bool default_v6 = false;

  [[nodiscard]] bool reaches(wire::IpFamily family) const;
};

// Of the calling thread's network namespace, all routing tables together. A router's table may have
// a million routes: after the first ten thousand no more are looked at.
[[nodiscard]] std::expected<HostRoutes, sys::SysError> read_host_routes();

}  // namespace sluice::netlink
