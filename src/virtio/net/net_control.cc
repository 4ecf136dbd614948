#include "virtio/net/net_control.h"

#include <algorithm>
#include <optional>

#include "wire/link/ethernet.h"

namespace sluice::virtio {
namespace {

enum class Class : std::uint8_t { kRx = 0, kMac = 1, kAnnounce = 3, kQueues = 4 };

constexpr std::size_t kHeaderSize = 2;  // Class and command.
constexpr std::size_t kMacSize = 6;

constexpr std::uint8_t kMacTableSet = 0;
constexpr std::uint8_t kMacAddressSet = 1;
constexpr std::uint8_t kAnnounceAck = 0;
constexpr std::uint8_t kQueuePairsSet = 0;

// VIRTIO_NET_CTRL_RX_PROMISC and what follows it (5.1.6.5.1).
constexpr std::array kReceiveModes = {
    &NetControlState::promiscuous, &NetControlState::all_multicast,
    &NetControlState::all_unicast, &NetControlState::no_multicast,
    &NetControlState::no_unicast,  &NetControlState::no_broadcast};

[[nodiscard]] bool set_receive_mode(std::uint8_t command, ByteView data, NetControlState& state) {
  if (command >= kReceiveModes.size() || data.size() != 1 || data[0] > 1) return false;
  state.*kReceiveModes[command] = data[0] == 1;
  return true;
}

// A count of 4 bytes, and so many addresses, which it takes off the data.
[[nodiscard]] std::optional<std::uint32_t> take_table(ByteView& data) {
  if (data.size() < 4) return std::nullopt;
  std::uint32_t count = 0;
  for (unsigned i = 0; i < 4; ++i) count |= std::uint32_t{data[i]} << (8 * i);
  data = data.subspan(4);
  if (count > data.size() / kMacSize) return std::nullopt;
  data = data.subspan(count * kMacSize);
  return count;
}

[[nodiscard]] bool set_mac(std::uint8_t command, ByteView data, NetControlState& state) {
  if (command == kMacTableSet) {
    const auto unicast = take_table(data);
    const auto multicast = unicast ? take_table(data) : std::nullopt;
    if (!multicast || !data.empty()) return false;
    state.unicast_filters = *unicast;
    state.multicast_filters = *multicast;
    return true;
  }
  if (command != kMacAddressSet || data.size() != kMacSize) return false;
  const wire::MacAddress mac = wire::load_mac(data.first<kMacSize>());
  const bool group = (mac.octets[0] & 1) != 0;
  if (group || mac == wire::MacAddress{}) return false;
  state.mac = mac;
  return true;
}

[[nodiscard]] bool set_queues(std::uint8_t command, ByteView data, std::uint16_t pairs_max,
                              NetControlState& state) {
  if (command != kQueuePairsSet || data.size() != 2) return false;
  const auto pairs = static_cast<std::uint16_t>(data[0] | (std::uint32_t{data[1]} << 8));
  if (pairs == 0 || pairs > pairs_max) return false;
  state.queue_pairs = pairs;
  return true;
}

// What a command's class needs, and the command itself.
[[nodiscard]] bool run(ByteView command, const NetControlLimits& limits, NetControlState& state) {
  if (command.size() < kHeaderSize) return false;
  const std::uint8_t code = command[1];
  const ByteView data = command.subspan(kHeaderSize);
  const FeatureSet accepted = limits.accepted;
  switch (Class{command[0]}) {
    case Class::kRx: return accepted.has(Feature::kCtrlRx) && set_receive_mode(code, data, state);
    case Class::kMac:
      // The table came with CTRL_RX, setting the address later, with a feature of its own.
      return accepted.has(code == kMacTableSet ? Feature::kCtrlRx : Feature::kCtrlMacAddr) &&
             set_mac(code, data, state);
    case Class::kAnnounce:
      if (!accepted.has(Feature::kGuestAnnounce) || code != kAnnounceAck) return false;
      state.announced = true;
      return true;
    case Class::kQueues:
      return accepted.has(Feature::kMq) && set_queues(code, data, limits.queue_pairs_max, state);
  }
  return false;
}

}  // namespace

ControlAnswer on_control_command(ByteView command, const NetControlLimits& limits,
                                 NetControlState& state) {
  return run(command, limits, state) ? ControlAnswer::kOk : ControlAnswer::kError;
}

}  // namespace sluice::virtio
