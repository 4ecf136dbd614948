// DHCPv6 (RFC 8415) with one lease: the guest's address, for whoever asks. So the server has no
// state and is a pure function.
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "flow/core/guest_network.h"
#include "wire/address.h"

namespace sluice::flow {

// Where a request came from: the answer goes there.
struct Dhcpv6Client {
  wire::MacAddress mac{};
  wire::Endpoint endpoint{};
};

// `message` is the payload of a datagram to port 547. Returns the length of the answering Ethernet
// frame in `out`, or zero where none is due.
[[nodiscard]] std::size_t answer_dhcpv6(const GuestNetwork& network, const Dhcpv6Client& client,
                                        ByteView message, MutableBytes out);

}  // namespace sluice::flow
