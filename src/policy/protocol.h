// The protocols that flows are made of, as policy, limits and reports name them.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/unreachable.h"

namespace sluice::policy {

enum class Protocol : std::uint8_t { kTcp, kUdp, kIcmp };

[[nodiscard]] inline std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp: return "tcp";
    case Protocol::kUdp: return "udp";
    case Protocol::kIcmp: return "icmp";
  }
  unreachable("protocol outside its enum");
}

}  // namespace sluice::policy
