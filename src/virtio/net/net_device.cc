#include "virtio/net/net_device.h"

#include <algorithm>

namespace sluice::virtio {
namespace {

struct Dependency {
  Feature feature;
  FeatureSet needs;  // One of these.
};

// 5.1.3.1. What needs CTRL_VQ does not stand here: where the front-end has the control queue to
// itself, as QEMU and DPDK do, it accepts MQ from us and no CTRL_VQ.
constexpr std::array kDependencies = {
    Dependency{Feature::kGuestTso4, {Feature::kGuestCsum}},
    Dependency{Feature::kGuestTso6, {Feature::kGuestCsum}},
    Dependency{Feature::kGuestUfo, {Feature::kGuestCsum}},
    Dependency{Feature::kGuestUso4, {Feature::kGuestCsum}},
    Dependency{Feature::kGuestUso6, {Feature::kGuestCsum}},
    Dependency{Feature::kGuestEcn, {Feature::kGuestTso4, Feature::kGuestTso6}},
    Dependency{Feature::kHostTso4, {Feature::kCsum}},
    Dependency{Feature::kHostTso6, {Feature::kCsum}},
    Dependency{Feature::kHostUfo, {Feature::kCsum}},
    Dependency{Feature::kHostUso, {Feature::kCsum}},
    Dependency{Feature::kHostEcn, {Feature::kHostTso4, Feature::kHostTso6}},
};

void put_le16(MutableBytes at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value);
  at[1] = static_cast<std::uint8_t>(value >> 8);
}

// Of struct virtio_net_config (5.1.4).
constexpr std::size_t kStatusAt = 6;
constexpr std::size_t kQueuePairsAt = 8;
constexpr std::size_t kMtuAt = 10;
constexpr std::size_t kSpeedAt = 12;  // 4 bytes, and one of duplex: all ones are unknown.
constexpr std::size_t kDuplexAt = 16;
constexpr std::uint16_t kLinkUp = 1;
constexpr std::uint16_t kAnnounce = 2;

}  // namespace

FeatureSet offered_features(const NetDevice& device) {
  FeatureSet offered{
      Feature::kCsum,        Feature::kGuestCsum,     Feature::kMac,       Feature::kGuestTso4,
      Feature::kGuestTso6,   Feature::kGuestEcn,      Feature::kHostTso4,  Feature::kHostTso6,
      Feature::kHostEcn,     Feature::kGuestUso4,     Feature::kGuestUso6, Feature::kHostUso,
      Feature::kMrgRxbuf,    Feature::kStatus,        Feature::kCtrlVq,    Feature::kCtrlRx,
      Feature::kCtrlMacAddr, Feature::kGuestAnnounce, Feature::kEventIdx,  Feature::kIndirectDesc,
      Feature::kVersion1,    Feature::kInOrder};
  if (device.mtu != 0) offered.add(Feature::kMtu);
  if (device.queue_pairs_max > 1) offered.add(Feature::kMq);
  if (device.packed) offered.add(Feature::kRingPacked);
  if (device.ufo) {
    offered.add(Feature::kGuestUfo);
    offered.add(Feature::kHostUfo);
  }
  return offered;
}

std::expected<void, std::string> check_features(FeatureSet offered, FeatureSet accepted) {
  const FeatureSet foreign = accepted.without(offered);
  if (foreign != FeatureSet()) {
    return std::unexpected("the driver accepted what was not offered: " + text_of(foreign));
  }
  for (const Dependency& dependency : kDependencies) {
    if (accepted.has(dependency.feature) && (accepted.bits() & dependency.needs.bits()) == 0) {
      return std::unexpected("the driver accepted " + text_of({dependency.feature}) +
                             ", and not what it needs: " + text_of(dependency.needs));
    }
  }
  return {};
}

wire::LinkFeatures link_features(FeatureSet accepted) {
  const bool checksum = accepted.has(Feature::kGuestCsum);
  return {
      .checksum = checksum,
      .tso = checksum && accepted.has(Feature::kGuestTso4) && accepted.has(Feature::kGuestTso6),
      .uso = checksum && accepted.has(Feature::kGuestUso4) && accepted.has(Feature::kGuestUso6)};
}

NetHeaderFormat header_format(FeatureSet accepted) {
  const bool mergeable = accepted.has(Feature::kMrgRxbuf);
  const bool long_form = mergeable || accepted.has(Feature::kVersion1);
  return {.size = long_form ? wire::VirtioNetHeader::kSize : wire::VirtioNetHeader::kSizeLegacy,
          .mergeable = mergeable};
}

std::array<std::uint8_t, kNetConfigSize> net_config(const NetDevice& device, LinkState state) {
  std::array<std::uint8_t, kNetConfigSize> config{};
  const MutableBytes bytes(config);
  std::ranges::copy(device.mac.octets, config.begin());
  const std::uint16_t announce = state == LinkState::kUpAnnounce ? kAnnounce : 0;
  put_le16(bytes.subspan(kStatusAt),
           static_cast<std::uint16_t>(state == LinkState::kDown ? 0 : kLinkUp | announce));
  put_le16(bytes.subspan(kQueuePairsAt), device.queue_pairs_max);
  put_le16(bytes.subspan(kMtuAt), device.mtu);
  std::ranges::fill(bytes.subspan(kSpeedAt, kDuplexAt + 1 - kSpeedAt), std::uint8_t{0xff});
  return config;
}

}  // namespace sluice::virtio
