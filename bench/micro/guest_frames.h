// Frames of the guest that are not TCP, of either family. Their checksums are in place.
#pragma once

#include "micro/guest_tcp.h"

namespace sluice::bench {

using flow::test::Bytes;

// What the guest's kernel says of a frame that it finished itself: ICMP, and raw sockets.
inline constexpr wire::VirtioNetHeader kFinished{};

[[nodiscard]] Bytes datagram_frame(const wire::Endpoint& guest, const wire::Endpoint& remote,
                                   const Bytes& payload);
[[nodiscard]] Bytes echo_frame(const wire::IpAddress& target, std::uint16_t identifier,
                               std::size_t payload_size);
// A whole echo reply from `source`, as a ping socket reads it.
[[nodiscard]] Bytes echo_reply(const wire::IpAddress& source, std::uint16_t identifier,
                               std::size_t payload_size);
// Who has the gateway's address?
[[nodiscard]] Bytes neighbour_solicitation();
[[nodiscard]] Bytes router_solicitation();
// The frames of one datagram that is larger than the link's packets.
[[nodiscard]] std::vector<Bytes> fragments(const wire::Endpoint& guest,
                                           const wire::Endpoint& remote, const Bytes& payload,
                                           std::uint32_t identification);

}  // namespace sluice::bench
