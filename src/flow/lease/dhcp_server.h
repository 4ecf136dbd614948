// DHCP for IPv4 (RFC 2131) with one lease: the guest's address, for whoever asks. So the server
// has no state and is a pure function.
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "flow/core/guest_network.h"

namespace sluice::flow {

// `message` is the payload of a datagram to port 67. Returns the length of the answering Ethernet
// frame in `out`, or zero where none is due.
[[nodiscard]] std::size_t answer_dhcp(const GuestNetwork& network, ByteView message,
                                      MutableBytes out);

}  // namespace sluice::flow
