// Which of several workers of one guest has a flow, and so every frame of it: each has an engine of
// its own, and they share none of their flows. Who else reads such a frame passes it on. A value,
// the same for all workers of a guest.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/hash.h"
#include "flow/core/guest_network.h"
#include "wire/address.h"
#include "wire/ip/flow_tuple.h"

namespace sluice::flow {

class FrameOwner {
 public:
  // One worker, which has all.
  FrameOwner() = default;
  // `workers` is one at least. The secret keeps a guest from choosing ports that load one worker.
  FrameOwner(const GuestNetwork& network, std::uint32_t workers, const HashSecret& secret);

  [[nodiscard]] std::uint32_t workers() const { return workers_; }

  // TCP spreads by connection and UDP by the guest's port, as one socket carries all that the guest
  // sends from there. ICMP errors go where their flow is. Worker 0 has the rest: what the guest
  // does to have a network (ARP, NDP, DHCP), our DNS, ping, fragments, and what cannot be read.
  [[nodiscard]] std::uint32_t of_frame(ByteView frame) const;
  // Of a packet of the guest's that was put together again.
  [[nodiscard]] std::uint32_t of_packet(const wire::IpPacketView& packet) const;
  // Of a connection, by the ends that the guest sees; which of its addresses is the guest's end
  // does not matter, as it may turn out to have another one.
  [[nodiscard]] std::uint32_t of_tcp(wire::Port guest, const wire::Endpoint& remote) const;
  [[nodiscard]] std::uint32_t of_udp(wire::Port guest) const;

 private:
  [[nodiscard]] std::uint32_t of_flow(const wire::FlowTuple& sent) const;
  [[nodiscard]] bool is_dns(const wire::Endpoint& remote) const;
  [[nodiscard]] std::uint32_t share_of(ByteView key) const;

  std::uint32_t workers_ = 1;
  HashSecret secret_{};
  std::array<wire::IpAddress, 2> dns_{};  // Unspecified where there is none.
};

// One worker's part of it.
struct FrameShare {
  FrameOwner owner{};
  std::uint32_t worker = 0;

  [[nodiscard]] bool is_all() const { return owner.workers() == 1; }
  [[nodiscard]] bool has_packet(const wire::IpPacketView& packet) const {
    return is_all() || owner.of_packet(packet) == worker;
  }
  [[nodiscard]] bool has_tcp(wire::Port guest, const wire::Endpoint& remote) const {
    return is_all() || owner.of_tcp(guest, remote) == worker;
  }
};

}  // namespace sluice::flow
