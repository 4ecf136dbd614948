// The pages of a guest that we wrote, as a front-end wants them while it migrates the guest (the
// vhost-user document, "Migration"): one bit for each 4 KiB of guest-physical memory, in memory
// that the front-end reads and clears meanwhile. Borrows that memory; any thread may mark.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/bytes.h"

namespace sluice::virtio {

class DirtyLog {
 public:
  static constexpr std::uint64_t kPageSize = 0x1000;

  DirtyLog() = default;
  // Bit n of byte m is page 8 m + n.
  explicit DirtyLog(MutableBytes bitmap) : bitmap_(bitmap) {}

  [[nodiscard]] explicit operator bool() const { return !bitmap_.empty(); }

  // What the bitmap has no bit for is passed over: it covers the regions the front-end knows.
  void mark(std::uint64_t guest_address, std::uint64_t length) const {
    if (length == 0) return;
    const std::uint64_t room = std::uint64_t{bitmap_.size()} * 8;
    const std::uint64_t first = guest_address / kPageSize;
    const std::uint64_t pages = ((guest_address % kPageSize) + length - 1) / kPageSize + 1;
    for (std::uint64_t page = first; page < room && page - first < pages; ++page) {
      const auto bit = static_cast<std::uint8_t>(1U << (page % 8));
      // Released behind the bytes it speaks of.
      std::atomic_ref(bitmap_[page / 8]).fetch_or(bit, std::memory_order_release);
    }
  }

 private:
  MutableBytes bitmap_;
};

}  // namespace sluice::virtio
