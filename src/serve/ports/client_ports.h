// Ports of UDP from which programs ask others. Their sockets look like those of servers, but who
// has one waits for nobody else.
#pragma once

#include "wire/address.h"

namespace sluice::serve {

// Of a client of DHCP, by IPv4 and IPv6 (RFC 2131, 4.1; RFC 8415, 7.2).
[[nodiscard]] constexpr bool is_dhcp_client(wire::Port port) {
  return port.value == 68 || port.value == 546;
}

}  // namespace sluice::serve
