// Ports that come and go with whoever waits there ("auto"): of which protocol, at which place, and
// which of them do not.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "policy/port_map.h"
#include "policy/rule.h"
#include "wire/address.h"

namespace sluice::policy {

struct FollowedPorts {
  PortMap like;                     // Without ports.
  std::vector<PortRange> except{};  // Sorted, disjoint.

  [[nodiscard]] bool follows(Protocol protocol, wire::Port port) const {
    return like.protocol == protocol && std::ranges::none_of(except, [&](const PortRange& range) {
             return port.value >= range.first && port.value <= range.last;
           });
  }
  friend bool operator==(const FollowedPorts&, const FollowedPorts&) = default;
};

[[nodiscard]] inline bool follows(std::span<const FollowedPorts> all, Protocol protocol,
                                  wire::Port port) {
  return std::ranges::any_of(all,
                             [&](const FollowedPorts& one) { return one.follows(protocol, port); });
}

// Any port of that protocol.
[[nodiscard]] inline bool follows(std::span<const FollowedPorts> all, Protocol protocol) {
  return std::ranges::any_of(
      all, [&](const FollowedPorts& one) { return one.like.protocol == protocol; });
}

}  // namespace sluice::policy
