// When clients of a published port are led to a server that waits at the guest's loopback.
#pragma once

#include <cstdint>

namespace sluice::policy {

enum class LoopbackUse : std::uint8_t {
  kNever,
  kWhereRefused,  // Where nobody waits at the guest's address, those that come from our loopback.
  kFirst,         // Those that come from our loopback; where nobody waits there, by the link.
};

}  // namespace sluice::policy
