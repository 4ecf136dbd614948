// Ports that come and go with whoever waits there ("auto"): of which protocol, at which place, and
// which of them do not.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "policy/port_map.h"
#include "policy/rule.h"
#include "wire/address.h"

namespace sluice::serve {

struct FollowedPorts {
  policy::PortMap like;                     // Without ports.
  std::vector<policy::PortRange> except{};  // Sorted, disjoint.

  [[nodiscard]] bool covers(policy::Protocol protocol, wire::Port port) const {
    return like.protocol == protocol &&
           std::ranges::none_of(except, [&](const policy::PortRange& range) {
             return port.value >= range.first && port.value <= range.last;
           });
  }
  friend bool operator==(const FollowedPorts&, const FollowedPorts&) = default;
};

[[nodiscard]] inline bool covers(std::span<const FollowedPorts> all, policy::Protocol protocol,
                                 wire::Port port) {
  return std::ranges::any_of(all,
                             [&](const FollowedPorts& one) { return one.covers(protocol, port); });
}

// Any port of that protocol.
[[nodiscard]] inline bool covers(std::span<const FollowedPorts> all, policy::Protocol protocol) {
  return std::ranges::any_of(
      all, [&](const FollowedPorts& one) { return one.like.protocol == protocol; });
}

}  // namespace sluice::serve
