#include "virtio/ring/ring_fault.h"

#include "base/unreachable.h"

namespace sluice::virtio {

std::string_view text_of(RingFault fault) {
  switch (fault) {
    case RingFault::kBadQueueSize: return "its size is none that a queue may have";
    case RingFault::kBadRingArea: return "a ring is too short for its size, or not aligned";
    case RingFault::kBadStart: return "it starts outside of its ring";
    case RingFault::kBadInflight:
      return "the region of what is in flight is too short, or contradicts itself";
    case RingFault::kNotStarted: return "it is not started";
    case RingFault::kIndexRanAhead: return "more chains are available than it has room for";
    case RingFault::kIndexOutOfRange: return "a descriptor's index is outside of its table";
    case RingFault::kChainTooLong:
      return "a chain has more descriptors than there may be, or is a loop";
    case RingFault::kTooManyBytes: return "a chain has 4 GiB or more";
    case RingFault::kZeroLength: return "a descriptor has no bytes";
    case RingFault::kWildAddress: return "a descriptor's address is not in the guest's memory";
    case RingFault::kReadableAfterWritable:
      return "a chain has a readable descriptor behind a writable one";
    case RingFault::kIndirectNotNegotiated:
      return "a descriptor is indirect, which was not negotiated";
    case RingFault::kIndirectNested: return "an indirect table has an indirect descriptor";
    case RingFault::kIndirectWithNext: return "an indirect descriptor has a next one";
    case RingFault::kIndirectBadSize:
      return "an indirect table's size is no multiple of 16, or zero";
    case RingFault::kIndirectTooLong: return "an indirect table is longer than it may be";
    case RingFault::kNoRoomForHeader:
      return "a buffer for reception cannot hold a virtio-net header";
  }
  unreachable("a fault of a ring");
}

}  // namespace sluice::virtio
