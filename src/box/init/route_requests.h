// The rtnetlink requests that set up the guest's network, as bytes. (src/netlink has libmnl, which
// Debian has as a shared library only, and the guest's program is static.) Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wire/address.h"

namespace sluice::box {

struct RouteRequest {
  std::string step;  // For the person who is told that it failed.
  std::vector<std::uint8_t> bytes;
};

// An interface that is down gets a name.
[[nodiscard]] RouteRequest rename_link(std::uint32_t index, const std::string& name);
// Down still: the kernel makes no IPv6 link-local address of its own when it comes up.
[[nodiscard]] RouteRequest no_automatic_link_local(std::uint32_t index);
[[nodiscard]] RouteRequest set_mtu(std::uint32_t index, std::uint32_t mtu);
[[nodiscard]] RouteRequest link_up(std::uint32_t index);
// Usable at once: IPv6 without duplicate address detection.
[[nodiscard]] RouteRequest add_address(std::uint32_t index, const wire::IpAddress& address,
                                       std::uint8_t prefix_length);
[[nodiscard]] RouteRequest add_default_route(std::uint32_t index, const wire::IpAddress& gateway);

// RFC 4291, appendix A: the link-local address of an interface by its MAC.
[[nodiscard]] wire::IpAddress link_local_of(const wire::MacAddress& mac);

}  // namespace sluice::box
