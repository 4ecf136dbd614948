// Where a driver put a queue, as the ring that is made there wants it.
#pragma once

#include <optional>

#include "virtio/guest_memory.h"
#include "virtio/mmio/mmio_device.h"
#include "virtio/ring/queue_config.h"

namespace sluice::box {

// Nothing where an area is not wholly in the guest's memory.
[[nodiscard]] std::optional<virtio::QueueConfig> queue_place(const virtio::GuestMemory& memory,
                                                             const virtio::MmioQueueSetup& setup,
                                                             const virtio::RingFeatures& features);

}  // namespace sluice::box
