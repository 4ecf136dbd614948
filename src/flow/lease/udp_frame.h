// A whole Ethernet frame with one UDP datagram, for the small services that answer the guest
// themselves (DHCP, DHCPv6). The payload is written first, in its place, and then wrapped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "wire/address.h"

namespace sluice::flow {

struct UdpFrame {
  wire::MacAddress source_mac{};
  wire::MacAddress destination_mac{};
  wire::Endpoint source{};
  wire::Endpoint destination{};  // Of the same family.
  std::uint8_t hop_limit = 64;
};

// Ethernet, IP and UDP headers.
[[nodiscard]] std::size_t udp_frame_header_size(wire::IpFamily family);

// Writes the headers before a payload that stands at udp_frame_header_size() in `out` and is all
// that follows. `out` is the whole frame.
void wrap_udp_frame(const UdpFrame& frame, MutableBytes out);

}  // namespace sluice::flow
