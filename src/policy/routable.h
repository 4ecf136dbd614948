// Addresses that are never a target on the host's side, whatever the rules say.
#pragma once

#include "wire/address.h"

namespace sluice::policy {

// True for 0.0.0.0/8 and :: (the kernel takes the unspecified address for "this host"),
// 127.0.0.0/8 and ::1 (the host's loopback), 224.0.0.0/4 and ff00::/8 (multicast is not relayed)
// and 255.255.255.255. --host-loopback does not change it: the engine maps the gateway's address
// to the host's loopback after this question was asked about the gateway.
[[nodiscard]] bool is_never_routable(const wire::IpAddress& address);

}  // namespace sluice::policy
