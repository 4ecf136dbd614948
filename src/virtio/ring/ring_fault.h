// What a driver did wrong to a queue. A queue with a fault is broken: it hands out nothing and
// writes nothing until it is started anew, which is all that a driver can be made to notice
// (virtio 1.2, 2.1.1, DEVICE_NEEDS_RESET).
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::virtio {

enum class RingFault : std::uint8_t {
  // Of a configuration.
  kBadQueueSize,  // Zero, above 32,768, or for a split ring no power of two.
  kBadRingArea,   // Too short for its queue, or not aligned.
  kBadStart,      // A packed ring's start lies outside of it.
  kBadInflight,   // The region of chains in flight is too short, or contradicts itself.
  kNotStarted,    // The queue is stopped.
  // Of a ring.
  kIndexRanAhead,    // More was made available than the queue has room for.
  kIndexOutOfRange,  // A descriptor's index is not one of the table.
  kChainTooLong,     // More descriptors than there may be, so that a loop ends here, too.
  kTooManyBytes,     // 4 GiB and more in one chain.
  kZeroLength,       // A descriptor of no bytes.
  kWildAddress,      // Not, or not wholly, in the guest's memory.
  kReadableAfterWritable,
  kIndirectNotNegotiated,
  kIndirectNested,
  kIndirectWithNext,
  kIndirectBadSize,  // No multiple of a descriptor's 16 bytes, or none of them.
  kIndirectTooLong,
  // Of what a chain is for.
  kNoRoomForHeader,  // A buffer for reception that cannot hold even the virtio-net header.
};

// For a log, behind "queue 0 is broken: ".
[[nodiscard]] std::string_view text_of(RingFault fault);

}  // namespace sluice::virtio
