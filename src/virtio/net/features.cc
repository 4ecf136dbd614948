#include "virtio/net/features.h"

#include <array>
#include <string_view>
#include <utility>

namespace sluice::virtio {
namespace {

constexpr auto kNames = std::to_array<std::pair<Feature, std::string_view>>({
    {Feature::kCsum, "CSUM"},
    {Feature::kGuestCsum, "GUEST_CSUM"},
    {Feature::kMtu, "MTU"},
    {Feature::kMac, "MAC"},
    {Feature::kGuestTso4, "GUEST_TSO4"},
    {Feature::kGuestTso6, "GUEST_TSO6"},
    {Feature::kGuestEcn, "GUEST_ECN"},
    {Feature::kGuestUfo, "GUEST_UFO"},
    {Feature::kHostTso4, "HOST_TSO4"},
    {Feature::kHostTso6, "HOST_TSO6"},
    {Feature::kHostEcn, "HOST_ECN"},
    {Feature::kHostUfo, "HOST_UFO"},
    {Feature::kMrgRxbuf, "MRG_RXBUF"},
    {Feature::kStatus, "STATUS"},
    {Feature::kCtrlVq, "CTRL_VQ"},
    {Feature::kCtrlRx, "CTRL_RX"},
    {Feature::kGuestAnnounce, "GUEST_ANNOUNCE"},
    {Feature::kMq, "MQ"},
    {Feature::kCtrlMacAddr, "CTRL_MAC_ADDR"},
    {Feature::kLogAll, "LOG_ALL"},
    {Feature::kIndirectDesc, "INDIRECT_DESC"},
    {Feature::kEventIdx, "EVENT_IDX"},
    {Feature::kProtocolFeatures, "PROTOCOL_FEATURES"},
    {Feature::kVersion1, "VERSION_1"},
    {Feature::kRingPacked, "RING_PACKED"},
    {Feature::kInOrder, "IN_ORDER"},
    {Feature::kGuestUso4, "GUEST_USO4"},
    {Feature::kGuestUso6, "GUEST_USO6"},
    {Feature::kHostUso, "HOST_USO"},
});

[[nodiscard]] std::string name_of(unsigned bit) {
  for (const auto& [feature, name] : kNames) {
    if (static_cast<unsigned>(feature) == bit) return std::string(name);
  }
  return "#" + std::to_string(bit);
}

}  // namespace

std::string text_of(FeatureSet features) {
  std::string text;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((features.bits() >> bit & 1) == 0) continue;
    if (!text.empty()) text += ' ';
    text += name_of(bit);
  }
  return text;
}

}  // namespace sluice::virtio
