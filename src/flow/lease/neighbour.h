// ARP (RFC 826) and Neighbor Discovery (RFC 4861): we answer for every address of the guest's
// subnets but the guest's own, and are its IPv6 router. Pure functions; each writes a whole
// Ethernet frame.
//
// The guest may take more addresses of the subnet than the one we offer (SLAAC does), and it probes
// them first. So a probe for an address that is not ours stays without an answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/time.h"
#include "flow/core/guest_network.h"
#include "wire/address.h"
#include "wire/ip/ip.h"

namespace sluice::flow {

struct NeighbourAnswer {
  std::size_t length = 0;  // Of the frame in `out`; zero for none.
  // Who spoke. There is one guest on the link, so this is where frames for it go.
  std::optional<wire::MacAddress> guest_mac{};
  // An address that the guest is about to take (RFC 4862, 5.4): we do not answer for it.
  std::optional<wire::IpAddress> probed{};
};

// `arp` is what follows the Ethernet header.
[[nodiscard]] NeighbourAnswer answer_arp(const GuestNetwork& network, ByteView arp,
                                         MutableBytes out);

// For ICMPv6 packets. Router and neighbour solicitations are answered, all else is left alone.
// `sender` is the frame's source.
[[nodiscard]] NeighbourAnswer answer_ndp(const GuestNetwork& network,
                                         const wire::MacAddress& sender,
                                         const wire::IpPacketView& packet, MutableBytes out);

// To all nodes, unasked: once the guest is there, and then at this interval, so that what we
// advertised never runs out (RFC 4861, 6.2.1: MaxRtrAdvInterval).
inline constexpr Duration kRouterAdvertisementInterval = std::chrono::seconds{600};
[[nodiscard]] std::size_t emit_router_advertisement(const GuestNetwork& network, MutableBytes out);

}  // namespace sluice::flow
