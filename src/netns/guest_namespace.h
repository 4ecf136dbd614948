// The network of a guest's namespace: loopback and the tap up, addresses, default routes. Works
// in the network namespace of the calling thread and changes nothing elsewhere.
#pragma once

#include <algorithm>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "sys/setup_error.h"
#include "wire/address.h"

namespace sluice::netns {

struct InterfaceAddress {
  wire::IpAddress address;
  std::uint8_t prefix_length = 0;
};

struct InterfacePlan {
  std::string interface = "tap0";
  std::vector<InterfaceAddress> addresses = {};  // IPv4 and IPv6.
  std::vector<wire::IpAddress> gateways = {};    // At most one a family; makes its default route.
  std::uint32_t mtu = 1500;
  std::optional<wire::MacAddress> mac = std::nullopt;
  // The tap drops what does not fit its queue, so the queue is long.
  std::uint32_t transmit_queue = 4096;
  bool several_queues = false;  // The tap has a queue for each of our workers.
  // Without it the tap has its MAC alone: somebody in there does the rest.
  bool configured = true;
  bool loopback_up = true;  // Also without it.

  // Whether it has an address of this family.
  [[nodiscard]] bool has(wire::IpFamily family) const {
    return std::ranges::any_of(addresses, [family](const InterfaceAddress& each) {
      return each.address.family() == family;
    });
  }
};

// Configures the guest's interface, which must exist. Returns warnings: settings that would be
// good to have and that the system refused, as a read-only /proc/sys does.
[[nodiscard]] std::expected<std::vector<sys::SetupError>, sys::SetupError> configure(
    const InterfacePlan& network);

}  // namespace sluice::netns
