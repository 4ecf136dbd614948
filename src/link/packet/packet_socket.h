// Opens the packet sockets (packet(7)) of a link that needs no /dev/net/tun: on an interface whose
// other end the guest has (netns/veth_pair.h), with virtio-net headers, so that frames of 64 KiB
// and unsummed ones cross in one piece in both directions.
//
// Set-up only: reading and writing frames is packet_link.h's. Works in the network namespace of the
// calling thread, with CAP_NET_RAW there; the descriptors stay good when handed to a process
// elsewhere. Several queues share the frames by their flow's hash (PACKET_FANOUT_HASH): those of a
// flow come by one queue, whichever we write by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "link/packet/packet_rings.h"
#include "sys/setup_error.h"

namespace sluice::link {

struct PacketSockets {
  // Two for each queue, that of short frames first (packet_rings.h). Close-on-exec.
  std::vector<UniqueFd> sockets;
  // Whether batches of UDP datagrams cross in one piece, too. Before Linux 6.2 they would be lost;
  // what tells it is an option that came with 6.6.
  bool udp_batches = false;
};

// `interface` is the index of one that is up.
[[nodiscard]] std::expected<PacketSockets, sys::SetupError> open_packet_sockets(
    std::uint32_t interface, std::size_t queues);

}  // namespace sluice::link
