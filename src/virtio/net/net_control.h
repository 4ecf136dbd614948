// The commands of a virtio-net driver's control queue (virtio 1.2, 5.1.6.5): what the guest wants
// to receive, its MAC, how many queue pairs it uses, and that it announced itself.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "virtio/net/features.h"
#include "wire/address.h"

namespace sluice::virtio {

enum class ControlAnswer : std::uint8_t { kOk = 0, kError = 1 };  // VIRTIO_NET_OK, VIRTIO_NET_ERR

// What a guest asked for. We are the only other station of its link and send it nothing that is
// not for it, so that a filter lets nothing else through whatever it says; it is kept to be shown.
struct NetControlState {
  wire::MacAddress mac;
  std::uint16_t queue_pairs = 1;
  bool promiscuous = false;
  bool all_multicast = false;
  bool all_unicast = false;
  bool no_multicast = false;
  bool no_unicast = false;
  bool no_broadcast = false;
  std::uint32_t unicast_filters = 0;
  std::uint32_t multicast_filters = 0;
  bool announced = false;  // It acknowledged that it was to announce itself.

  friend bool operator==(const NetControlState&, const NetControlState&) = default;
};

struct NetControlLimits {
  FeatureSet accepted;
  std::uint16_t queue_pairs_max = 1;
};

// A command's bytes, from its class on. A command that fails leaves the state as it was.
[[nodiscard]] ControlAnswer on_control_command(ByteView command, const NetControlLimits& limits,
                                               NetControlState& state);

}  // namespace sluice::virtio
