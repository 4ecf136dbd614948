// What a front-end said of a ring, in the terms of the guest's memory.
#pragma once

#include "link/vhost_user/session.h"
#include "virtio/guest_memory.h"
#include "virtio/net/features.h"
#include "virtio/ring/queue_config.h"

namespace sluice::link {

// Of a ring that has a size and an address. Areas that are not wholly in the memory are empty.
[[nodiscard]] virtio::QueueConfig ring_config(const VhostRing& ring, virtio::FeatureSet accepted,
                                              const virtio::GuestMemory& memory);

}  // namespace sluice::link
