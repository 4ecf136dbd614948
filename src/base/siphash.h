// SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash for keys that an attacker chooses, such as
// DNS questions. Without the 128-bit key nobody can find inputs that collide.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace sluice {

struct SipKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

[[nodiscard]] std::uint64_t siphash(const SipKey& key, ByteView message);

}  // namespace sluice
