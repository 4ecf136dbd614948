// A device's configuration space as its driver reads it (virtio 1.2, 2.5).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace sluice::virtio {

// From this offset on; beyond the end of it there are zeros.
inline void read_config_space(ByteView config, std::size_t offset, MutableBytes into) {
  const ByteView rest = config.subspan(std::min(offset, config.size()));
  const std::size_t count = std::min(rest.size(), into.size());
  std::ranges::copy(rest.first(count), into.begin());
  std::ranges::fill(into.subspan(count), std::uint8_t{0});
}

}  // namespace sluice::virtio
