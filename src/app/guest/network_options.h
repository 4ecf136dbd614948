// The guest's network, from the options that describe it.
#pragma once

#include <cstdint>
#include <expected>

#include "app/options/early_exit.h"
#include "app/options/raw_options.h"
#include "flow/core/guest_network.h"

namespace sluice::app {

inline constexpr std::uint16_t kMtuMin = 68;      // RFC 791: what every link must carry.
inline constexpr std::uint16_t kMtuMinV6 = 1280;  // RFC 8200, 5.
inline constexpr std::uint16_t kMtuMax = 65'520;  // 65,535 less the headers a tap adds, by 16.

// `default_mtu` where --mtu is not given.
[[nodiscard]] std::expected<flow::GuestNetwork, Mistake> network_options(const RawOptions& raw,
                                                                         std::uint16_t default_mtu);

}  // namespace sluice::app
