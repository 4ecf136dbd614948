// What an epoll event or a timer is about, in 64 bits: a kind, and the handle of an object in a
// slab, or a number. `Kind` is an enum of the folder that has the loop.
#pragma once

#include <cstdint>

#include "base/slab.h"

namespace sluice {

template <typename Kind>
struct EventTag {
  Kind kind{};
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 24 bits of it.

  [[nodiscard]] constexpr std::uint64_t pack() const {
    return (std::uint64_t{static_cast<std::uint8_t>(kind)} << 56) |
           (std::uint64_t{generation & kGenerationMask} << 32) | index;
  }
  [[nodiscard]] static constexpr EventTag unpack(std::uint64_t packed) {
    return {static_cast<Kind>(packed >> 56), static_cast<std::uint32_t>(packed),
            static_cast<std::uint32_t>(packed >> 32) & kGenerationMask};
  }
  [[nodiscard]] static constexpr EventTag of(Kind kind, SlabHandle handle) {
    return {kind, handle.index, handle.generation};
  }
  // The handle of the object that it names, whole; an invalid one when that is gone.
  template <typename T>
  [[nodiscard]] SlabHandle handle_in(const Slab<T>& slab) const {
    if (index >= slab.capacity()) return {};
    const SlabHandle handle = slab.handle_of(index);
    return names(handle) ? handle : SlabHandle{};
  }
  [[nodiscard]] constexpr bool names(SlabHandle handle) const {
    return handle.index == index && (handle.generation & kGenerationMask) == generation;
  }

  static constexpr std::uint32_t kGenerationMask = 0xff'ffff;
};

}  // namespace sluice
