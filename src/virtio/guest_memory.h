// Where a guest's memory lies in this process: regions by guest-physical address and by the
// address that the front-end has them at (vhost-user gives a ring's addresses so). It never owns a
// mapping: whoever maps and unmaps tells it, and stops the queues first. While nobody changes it,
// any thread may look.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "virtio/dirty_log.h"

namespace sluice::virtio {

struct MemoryRegion {
  std::uint64_t guest_address = 0;  // Guest-physical.
  std::uint64_t user_address = 0;   // In the front-end's address space.
  MutableBytes bytes{};             // In ours; its size is the region's.
};

enum class MemoryFault : std::uint8_t {
  kEmptyRegion,
  kAddressWraps,  // The region's end is beyond 2^64.
  kOverlap,       // With a region that is there, in either address space.
  kTooManyRegions,
  kNoSuchRegion,
};
[[nodiscard]] std::string_view text_of(MemoryFault fault);

class GuestMemory {
 public:
  // What QEMU's own back-ends allow (VHOST_USER_MAX_RAM_SLOTS).
  static constexpr std::size_t kRegionsMax = 509;

  [[nodiscard]] std::expected<void, MemoryFault> add(const MemoryRegion& region);
  // Of the region that begins there and is as large; its bytes are not compared. Returns it, so
  // that its mapping can be found.
  [[nodiscard]] std::expected<MemoryRegion, MemoryFault> remove(std::uint64_t guest_address,
                                                                std::uint64_t user_address,
                                                                std::uint64_t size);
  // All at once; after a fault everything is as before.
  [[nodiscard]] std::expected<void, MemoryFault> replace(std::span<const MemoryRegion> regions);
  void clear();

  [[nodiscard]] std::span<const MemoryRegion> regions() const { return regions_; }

  // As much of [address, address + length) as lies in one region, from its beginning on: the whole
  // range, a first piece (what follows may lie in the next region), or nothing.
  [[nodiscard]] MutableBytes find(std::uint64_t guest_address, std::uint64_t length) const;
  // The region of a guest-physical address, or none.
  [[nodiscard]] const MemoryRegion* region_of(std::uint64_t guest_address) const;
  // A whole range by the front-end's address; for rings, so it need not be quick.
  [[nodiscard]] MutableBytes find_user(std::uint64_t user_address, std::uint64_t length) const;

  // While a guest is migrated, its front-end wants to know what pages we write. Without a log,
  // nothing is noted.
  void set_dirty_log(const DirtyLog& log) { dirty_log_ = log; }
  // Bytes that find() gave were written; of pieces, the first `length` bytes.
  void written(ByteView bytes) const {
    if (dirty_log_) [[unlikely]]
      note_written(bytes);
  }
  void written(std::span<const MutableBytes> pieces, std::size_t length) const {
    if (dirty_log_) [[unlikely]]
      note_written(pieces, length);
  }

 private:
  [[gnu::cold]] void note_written(ByteView bytes) const;
  [[gnu::cold]] void note_written(std::span<const MutableBytes> pieces, std::size_t length) const;

  std::vector<MemoryRegion> regions_;  // By guest address.
  DirtyLog dirty_log_;
};

// A queue's own way to its guest's memory: guests have their packets in one region, mostly, so that
// the one that was found last is looked at first. Made anew when the memory changes; not
// thread-safe.
class MemoryFinder {
 public:
  // Not owned.
  explicit MemoryFinder(const GuestMemory& memory) : memory_(&memory) {}

  // As GuestMemory::find().
  [[nodiscard]] MutableBytes find(std::uint64_t guest_address, std::uint64_t length) {
    // Differences of unsigned numbers, so that no sum can wrap.
    const std::uint64_t offset = guest_address - last_.guest_address;
    if (offset < last_.bytes.size() && length <= last_.bytes.size() - offset) [[likely]] {
      return last_.bytes.subspan(offset, length);
    }
    return search(guest_address, length);
  }
  // The whole range, or nothing where it is not wholly in one region.
  [[nodiscard]] MutableBytes find_whole(std::uint64_t guest_address, std::uint64_t length) {
    const MutableBytes found = find(guest_address, length);
    return found.size() == length ? found : MutableBytes{};
  }

 private:
  [[nodiscard]] MutableBytes search(std::uint64_t guest_address, std::uint64_t length);

  const GuestMemory* memory_;
  MemoryRegion last_;  // Empty until something is found.
};

}  // namespace sluice::virtio
