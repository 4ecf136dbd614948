// What the guest's SYN or SYN-ACK said of its TCP.
#pragma once

#include <algorithm>
#include <cstdint>

#include "wire/transport/tcp.h"

namespace sluice::flow {

// Ours, to a guest that scales.
inline constexpr std::uint8_t kTcpWindowScale = 7;

struct GuestTcpOptions {
  std::uint16_t mss = 536;  // RFC 9293, 3.7.1
  std::uint8_t window_scale = 0;
  bool scaled = false;  // Both sides scale.
  bool sack = false;

  // `mss_max` is what the link carries.
  [[nodiscard]] static GuestTcpOptions read(const wire::TcpView& syn, std::uint16_t mss_max) {
    const wire::TcpOptions options = wire::parse_tcp_options(syn.options());
    GuestTcpOptions guest;
    // RFC 9293, 3.7.1: without the option 536 is assumed. A tiny MSS would make us send a flood of
    // tiny segments; Linux itself does not go below 88.
    guest.mss = std::min(std::max<std::uint16_t>(options.mss.value_or(guest.mss), 88), mss_max);
    guest.scaled = options.window_scale.has_value();
    // RFC 7323, 2.3: a shift above 14 is taken as 14.
    guest.window_scale = std::min<std::uint8_t>(options.window_scale.value_or(0), 14);
    guest.sack = options.sack_permitted;
    return guest;
  }

  // The window that a segment behind the handshake tells.
  [[nodiscard]] std::uint32_t window_of(const wire::TcpView& segment) const {
    return std::uint32_t{segment.window()} << (scaled ? window_scale : 0);
  }
  [[nodiscard]] std::uint8_t our_scale() const { return scaled ? kTcpWindowScale : 0; }
};

}  // namespace sluice::flow
