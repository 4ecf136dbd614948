#include "link/vhost_user/ring_config.h"

namespace sluice::link {
namespace {

// User Mode Linux begins a packed ring at 0, as if it were a split one. By that, both ends would
// stand at the first descriptor in an even turn, and it was used in the one before: a bit tells.
[[nodiscard]] bool is_unused(ByteView descriptors) {
  constexpr std::size_t kFlagsHigh = 15;  // Virtio 1.2, 2.8.1: bit 15 of the flags is USED.
  return descriptors.size() > kFlagsHigh && (descriptors[kFlagsHigh] & 0x80) == 0;
}

}  // namespace

virtio::QueueConfig ring_config(const VhostRing& ring, virtio::FeatureSet accepted,
                                const virtio::GuestMemory& memory) {
  virtio::QueueConfig config;
  config.size = ring.size;
  config.features = virtio::ring_features(accepted);
  config.base = ring.base;
  const virtio::RingSizes sizes = virtio::ring_sizes(config.size, config.features);
  config.descriptors = memory.find_user(ring.address->descriptors, sizes.descriptors);
  config.driver = memory.find_user(ring.address->available, sizes.driver);
  config.device = memory.find_user(ring.address->used, sizes.device);
  if (config.features.packed) {
    // Nothing is under way in a ring that begins, so that both ends stand at one place. DPDK tells
    // that of what is available only.
    const std::uint32_t place = ring.base & 0xffff;
    const bool unused = ring.base == 0 && is_unused(config.descriptors);
    config.base = unused ? virtio::kPackedStart : place | (place << 16);
  }
  return config;
}

}  // namespace sluice::link
