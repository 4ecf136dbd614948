// What a virtio-net device is, as values (virtio 1.2, 5.1): the features that it offers, what the
// negotiated ones mean for frames, and its configuration space.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>

#include "base/bytes.h"
#include "virtio/net/features.h"
#include "wire/address.h"
#include "wire/link/frame_batch.h"
#include "wire/link/virtio_net.h"

namespace sluice::virtio {

struct NetDevice {
  wire::MacAddress mac;   // The guest's.
  std::uint16_t mtu = 0;  // Zero: not told.
  std::uint16_t queue_pairs_max = 1;
  bool packed = true;  // Whether packed rings are offered.
  // UFO makes frames that are to be cut into fragments, so it is for who asks for it.
  bool ufo = false;
};

// Of the device, its rings and its control queue. What a transport adds (kLogAll,
// kProtocolFeatures) is the transport's.
[[nodiscard]] FeatureSet offered_features(const NetDevice& device);

// A sentence where a driver accepted what was not offered, or what needs another feature that it
// did not accept (virtio 1.2, 5.1.3.1).
[[nodiscard]] std::expected<void, std::string> check_features(FeatureSet offered,
                                                              FeatureSet accepted);

// What frames to the guest may leave to it.
[[nodiscard]] wire::LinkFeatures link_features(FeatureSet accepted);

// How a frame's virtio-net header looks in its buffers.
struct NetHeaderFormat {
  std::size_t size = wire::VirtioNetHeader::kSize;  // 10 without num_buffers.
  bool mergeable = false;                           // A frame may take several buffers.
};
[[nodiscard]] NetHeaderFormat header_format(FeatureSet accepted);

// struct virtio_net_config (5.1.4), little-endian: MAC, status, queue pairs, MTU, speed and duplex
// (unknown), and RSS, of which there is none.
inline constexpr std::size_t kNetConfigSize = 24;
enum class LinkState : std::uint8_t { kDown, kUp, kUpAnnounce };  // The last asks for ARP.
[[nodiscard]] std::array<std::uint8_t, kNetConfigSize> net_config(const NetDevice& device,
                                                                  LinkState state);

// The queues of pair n are 2 n (to the guest) and 2 n + 1 (from it); the control queue follows
// the last pair that the driver could use (5.1.2).
[[nodiscard]] constexpr std::size_t receive_queue_index(std::size_t pair) { return 2 * pair; }
[[nodiscard]] constexpr std::size_t transmit_queue_index(std::size_t pair) { return 2 * pair + 1; }
[[nodiscard]] constexpr std::size_t control_queue_index(const NetDevice& device,
                                                        FeatureSet accepted) {
  return accepted.has(Feature::kMq) ? 2 * std::size_t{device.queue_pairs_max} : 2;
}

}  // namespace sluice::virtio
