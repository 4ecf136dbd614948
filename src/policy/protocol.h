// The protocols that flows are made of, as policy, limits and reports name them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/unreachable.h"

namespace sluice::policy {

enum class Protocol : std::uint8_t { kTcp, kUdp, kIcmp };

inline constexpr std::size_t kProtocolCount = 3;

[[nodiscard]] inline std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp: return "tcp";
    case Protocol::kUdp: return "udp";
    case Protocol::kIcmp: return "icmp";
  }
  unreachable("protocol outside its enum");
}

// "tcp", "udp" or "icmp".
[[nodiscard]] inline std::optional<Protocol> parse_protocol(std::string_view text) {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
    if (text == to_string(protocol)) return protocol;
  }
  return std::nullopt;
}

}  // namespace sluice::policy
