// How the receive rings of packet sockets (packet(7), PACKET_RX_RING) are laid out for a link. Both
// who makes the sockets and who maps them must know; they are two processes of ours.
//
// A queue has two sockets, each with a ring, and a filter that leaves it the frames that its slots
// are for: many short slots for frames up to kShortFrameMax, and fewer that take the longest frame
// that a kernel makes. A ring's slots have one size, so that one ring of long slots would be full
// after a few dozen small datagrams, or take a hundred megabytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::link {

struct RingShape {
  std::uint32_t slot_size = 0;
  std::uint32_t slots_per_block = 0;
  std::uint32_t blocks = 0;

  [[nodiscard]] constexpr std::size_t slots() const {
    return std::size_t{slots_per_block} * blocks;
  }
  friend bool operator==(const RingShape&, const RingShape&) = default;
};

// What the kernel gets in one piece where it can: 512 pages, which is a huge page.
inline constexpr std::uint32_t kRingBlock = 2 * 1024 * 1024;

// An Ethernet header and 64 KiB, which is what segmentation offload leaves whole, behind what the
// kernel says of a frame in its slot.
inline constexpr std::uint32_t kLongSlot = 66 * 1024;
inline constexpr std::uint32_t kShortSlot = 2 * 1024;
// From the Ethernet header on: a slot of that size has room for it.
inline constexpr std::uint32_t kShortFrameMax = 1920;

struct QueueRings {
  RingShape for_short;
  RingShape for_long;
};

// For each of so many queues.
[[nodiscard]] constexpr QueueRings rings_of(std::size_t queues) {
  const std::uint32_t blocks = queues > 1 ? 2 : 4;
  return {{kShortSlot, kRingBlock / kShortSlot, blocks / 2},
          {kLongSlot, kRingBlock / kLongSlot, blocks}};
}

}  // namespace sluice::link
