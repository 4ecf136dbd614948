// A receive ring in ordinary memory, filled as the kernel fills one.
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "link/packet/packet_ring.h"
#include "wire/link/virtio_net.h"

namespace sluice::link {

class FilledRing {
 public:
  static constexpr std::uint8_t kHeaderSize = wire::VirtioNetHeader::kSizeLegacy;
  // Where a frame begins in its slot: behind the kernel's header, an address and ours.
  static constexpr std::uint16_t kFrame = 78;

  explicit FilledRing(RingShape shape = {.slot_size = 2048, .slots_per_block = 4, .blocks = 1})
      : shape_(shape), memory_(std::size_t{kRingBlock} * shape.blocks) {}

  [[nodiscard]] PacketRing ring() { return {memory_, shape_}; }
  [[nodiscard]] tpacket2_hdr& header(std::size_t slot) {
    return *reinterpret_cast<tpacket2_hdr*>(at(slot));
  }
  [[nodiscard]] std::uint32_t status(std::size_t slot) { return header(slot).tp_status; }

  // The next slot gets a frame of such bytes.
  tpacket2_hdr& fill(std::uint8_t byte, std::uint32_t size = 60, std::uint32_t nanosecond = 0,
                     const wire::VirtioNetHeader& offload = {}) {
    const std::size_t slot = filled_++ % shape_.slots();
    offload.emit_legacy(FixedBytes<kHeaderSize>(at(slot) + kFrame - kHeaderSize, kHeaderSize));
    std::fill_n(at(slot) + kFrame, size, byte);
    header(slot) = {.tp_status = TP_STATUS_USER,
                    .tp_len = size,
                    .tp_snaplen = size,
                    .tp_mac = kFrame,
                    .tp_net = kFrame + ETH_HLEN,
                    .tp_sec = 0,
                    .tp_nsec = nanosecond,
                    .tp_vlan_tci = 0,
                    .tp_vlan_tpid = 0,
                    .tp_padding = {}};
    return header(slot);
  }

 private:
  [[nodiscard]] std::uint8_t* at(std::size_t slot) {
    return memory_.data() + slot / shape_.slots_per_block * kRingBlock +
           slot % shape_.slots_per_block * shape_.slot_size;
  }

  RingShape shape_;
  std::vector<std::uint8_t> memory_;
  std::size_t filled_ = 0;
};

}  // namespace sluice::link
