// Whether connections may be handed over to the guest's kernel (docs/fast_path.md).
#pragma once

#include <cstdint>

namespace sluice::policy {

enum class FastPathUse : std::uint8_t {
  kAuto,     // Connections for which it pays, where the system lets us.
  kOff,      // None.
  kRequire,  // All; an error where the system does not let us.
};

}  // namespace sluice::policy
