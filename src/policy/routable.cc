#include "policy/routable.h"

namespace sluice::policy {

bool is_never_routable(const wire::IpAddress& address) {
  if (address.is_v4()) {
    const std::uint32_t value = address.v4_value();
    const std::uint32_t top = value >> 24;
    return top == 0 || top == 127 || (value >> 28) == 0xe || value == 0xffff'ffff;
  }
  const auto octets = address.octets();
  if (octets[0] == 0xff) return true;
  for (std::size_t i = 0; i < 15; ++i) {
    if (octets[i] != 0) return false;
  }
  return octets[15] <= 1;
}

}  // namespace sluice::policy
