#include "box/device/queue_place.h"

namespace sluice::box {

std::optional<virtio::QueueConfig> queue_place(const virtio::GuestMemory& memory,
                                               const virtio::MmioQueueSetup& setup,
                                               const virtio::RingFeatures& features) {
  const virtio::RingSizes sizes = virtio::ring_sizes(setup.size, features);
  const virtio::QueueConfig config{.size = setup.size,
                                   .features = features,
                                   .descriptors = memory.find(setup.descriptors, sizes.descriptors),
                                   .driver = memory.find(setup.driver, sizes.driver),
                                   .device = memory.find(setup.device, sizes.device),
                                   .base = features.packed ? virtio::kPackedStart : 0};
  // find() gives what lies in one region.
  if (config.descriptors.size() != sizes.descriptors || config.driver.size() != sizes.driver ||
      config.device.size() != sizes.device) {
    return std::nullopt;
  }
  return config;
}

}  // namespace sluice::box
