// What a transport says of a queue before it runs: its size, where its rings lie, what was
// negotiated, and where it goes on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace sluice::virtio {

// Of both formats (virtio 1.2, 2.7 and 2.8.10.1).
inline constexpr std::size_t kQueueSizeMax = 32'768;

struct RingFeatures {
  bool packed = false;       // VIRTIO_F_RING_PACKED
  bool event_index = false;  // VIRTIO_F_EVENT_IDX
  bool indirect = false;     // VIRTIO_F_INDIRECT_DESC
  bool in_order = false;     // VIRTIO_F_IN_ORDER
};

// Bytes of a queue's three areas; what more there is, is not used.
struct RingSizes {
  std::size_t descriptors = 0;  // Descriptor table, or ring. Aligned to 16 bytes.
  std::size_t driver = 0;       // Available ring (2), or driver event suppression (4).
  std::size_t device = 0;       // Used ring (4), or device event suppression (4).
};
[[nodiscard]] constexpr RingSizes ring_sizes(std::size_t queue_size, const RingFeatures& features) {
  if (features.packed) return {.descriptors = 16 * queue_size, .driver = 4, .device = 4};
  const std::size_t event = features.event_index ? 2 : 0;
  return {.descriptors = 16 * queue_size,
          .driver = 4 + 2 * queue_size + event,
          .device = 4 + 8 * queue_size + event};
}

struct QueueConfig {
  std::size_t size = 0;
  RingFeatures features{};
  MutableBytes descriptors{};
  MutableBytes driver{};
  MutableBytes device{};
  // Where to go on, as VHOST_USER_SET_VRING_BASE has it. Split: the index of the next available
  // chain; the used index is the ring's own. Packed: the index and wrap counter of the next
  // available descriptor in bits 0-14 and 15, of the next used one in bits 16-30 and 31. A packed
  // ring that was never used starts at kPackedStart.
  std::uint32_t base = 0;
  // This queue's region of what is in flight (inflight_region_size()); empty: nothing is kept.
  MutableBytes inflight{};
};

inline constexpr std::uint32_t kPackedStart = 0x8000'8000;

}  // namespace sluice::virtio
