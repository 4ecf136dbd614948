// Upper-layer protocols and IPv6 extension headers, by their IANA number. A value without an
// enumerator is valid: it is what the peer sent.
#pragma once

#include <cstdint>

namespace sluice::wire {

enum class IpProtocol : std::uint8_t {
  kHopByHop = 0,
  kIcmp = 1,
  kTcp = 6,
  kUdp = 17,
  kRouting = 43,
  kFragment = 44,
  kIcmpv6 = 58,
  kNoNextHeader = 59,
  kDestinationOptions = 60,
};

}  // namespace sluice::wire
