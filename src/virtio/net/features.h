// Feature bits of a virtio-net device, of rings and of vhost-user, by name (virtio 1.2, 5.1.3 and
// 6; the vhost-user document).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "virtio/ring/queue_config.h"

namespace sluice::virtio {

// The number of its bit.
enum class Feature : std::uint8_t {
  kCsum = 0,       // Frames from the guest may have unfinished checksums.
  kGuestCsum = 1,  // Frames to the guest may.
  kMtu = 3,        // The configuration space has it.
  kMac = 5,        // The configuration space has it.
  kGuestTso4 = 7,  // Frames to the guest may be super-frames: TCP over IPv4,
  kGuestTso6 = 8,  // over IPv6,
  kGuestEcn = 9,   // with ECN;
  kGuestUfo = 10,  // UDP to be cut into fragments.
  kHostTso4 = 11,  // The same for frames from the guest.
  kHostTso6 = 12,
  kHostEcn = 13,
  kHostUfo = 14,
  kMrgRxbuf = 15,  // A frame to the guest may take several buffers.
  kStatus = 16,    // The configuration space says whether the link is up.
  kCtrlVq = 17,
  kCtrlRx = 18,
  kGuestAnnounce = 21,
  kMq = 22,
  kCtrlMacAddr = 23,
  kLogAll = 26,  // vhost: pages that we write are noted.
  kIndirectDesc = 28,
  kEventIdx = 29,
  kProtocolFeatures = 30,  // vhost-user: there are protocol features to negotiate.
  kVersion1 = 32,
  kRingPacked = 34,
  kInOrder = 35,
  kGuestUso4 = 54,  // UDP to be cut into datagrams.
  kGuestUso6 = 55,
  kHostUso = 56,
};

class FeatureSet {
 public:
  constexpr FeatureSet() = default;
  constexpr explicit FeatureSet(std::uint64_t bits) : bits_(bits) {}
  constexpr FeatureSet(std::initializer_list<Feature> features) {
    for (const Feature feature : features) bits_ |= bit(feature);
  }

  [[nodiscard]] constexpr bool has(Feature feature) const { return (bits_ & bit(feature)) != 0; }
  constexpr void add(Feature feature) { bits_ |= bit(feature); }
  constexpr void remove(Feature feature) { bits_ &= ~bit(feature); }
  [[nodiscard]] constexpr std::uint64_t bits() const { return bits_; }
  // What is here and not there.
  [[nodiscard]] constexpr FeatureSet without(FeatureSet other) const {
    return FeatureSet(bits_ & ~other.bits_);
  }
  friend constexpr bool operator==(FeatureSet, FeatureSet) = default;

 private:
  [[nodiscard]] static constexpr std::uint64_t bit(Feature feature) {
    return std::uint64_t{1} << static_cast<unsigned>(feature);
  }
  std::uint64_t bits_ = 0;
};

// "CSUM MRG_RXBUF VERSION_1", as the specification spells them; a bit without a name is "#40".
[[nodiscard]] std::string text_of(FeatureSet features);

[[nodiscard]] constexpr RingFeatures ring_features(FeatureSet features) {
  return {.packed = features.has(Feature::kRingPacked),
          .event_index = features.has(Feature::kEventIdx),
          .indirect = features.has(Feature::kIndirectDesc),
          .in_order = features.has(Feature::kInOrder)};
}

}  // namespace sluice::virtio
