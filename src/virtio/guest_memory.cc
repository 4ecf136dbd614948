#include "virtio/guest_memory.h"

#include <algorithm>
#include <functional>

#include "base/unreachable.h"

namespace sluice::virtio {
namespace {

// By differences of unsigned numbers, as ends may be 2^64.
[[nodiscard]] bool overlap(std::uint64_t a, std::uint64_t a_size, std::uint64_t b,
                           std::uint64_t b_size) {
  return b - a < a_size || a - b < b_size;
}

[[nodiscard]] bool wraps(std::uint64_t begin, std::uint64_t size) {
  return size - 1 > UINT64_MAX - begin;
}

[[nodiscard]] std::optional<MemoryFault> fault_of(const MemoryRegion& region,
                                                  std::span<const MemoryRegion> others) {
  const std::uint64_t size = region.bytes.size();
  if (size == 0) return MemoryFault::kEmptyRegion;
  if (wraps(region.guest_address, size) || wraps(region.user_address, size)) {
    return MemoryFault::kAddressWraps;
  }
  if (others.size() >= GuestMemory::kRegionsMax) return MemoryFault::kTooManyRegions;
  for (const MemoryRegion& other : others) {
    if (overlap(region.guest_address, size, other.guest_address, other.bytes.size()) ||
        overlap(region.user_address, size, other.user_address, other.bytes.size())) {
      return MemoryFault::kOverlap;
    }
  }
  return std::nullopt;
}

void insert(std::vector<MemoryRegion>& regions, const MemoryRegion& region) {
  regions.insert(
      std::ranges::upper_bound(regions, region.guest_address, {}, &MemoryRegion::guest_address),
      region);
}

}  // namespace

std::string_view text_of(MemoryFault fault) {
  switch (fault) {
    case MemoryFault::kEmptyRegion: return "a region of memory is empty";
    case MemoryFault::kAddressWraps: return "a region of memory ends beyond the last address";
    case MemoryFault::kOverlap: return "two regions of memory overlap";
    case MemoryFault::kTooManyRegions: return "there are too many regions of memory";
    case MemoryFault::kNoSuchRegion: return "there is no such region of memory";
  }
  unreachable("a fault of a guest's memory");
}

std::expected<void, MemoryFault> GuestMemory::add(const MemoryRegion& region) {
  if (const auto fault = fault_of(region, regions_)) return std::unexpected(*fault);
  insert(regions_, region);
  return {};
}

std::expected<MemoryRegion, MemoryFault> GuestMemory::remove(std::uint64_t guest_address,
                                                             std::uint64_t user_address,
                                                             std::uint64_t size) {
  const auto found = std::ranges::find_if(regions_, [&](const MemoryRegion& region) {
    return region.guest_address == guest_address && region.user_address == user_address &&
           region.bytes.size() == size;
  });
  if (found == regions_.end()) return std::unexpected(MemoryFault::kNoSuchRegion);
  const MemoryRegion removed = *found;
  regions_.erase(found);
  return removed;
}

std::expected<void, MemoryFault> GuestMemory::replace(std::span<const MemoryRegion> regions) {
  std::vector<MemoryRegion> fresh;
  for (const MemoryRegion& region : regions) {
    if (const auto fault = fault_of(region, fresh)) return std::unexpected(*fault);
    insert(fresh, region);
  }
  regions_.swap(fresh);
  return {};
}

void GuestMemory::clear() { regions_.clear(); }

const MemoryRegion* GuestMemory::region_of(std::uint64_t guest_address) const {
  const auto behind =
      std::ranges::upper_bound(regions_, guest_address, {}, &MemoryRegion::guest_address);
  if (behind == regions_.begin()) return nullptr;
  const MemoryRegion& region = *std::prev(behind);
  return guest_address - region.guest_address < region.bytes.size() ? &region : nullptr;
}

MutableBytes GuestMemory::find(std::uint64_t guest_address, std::uint64_t length) const {
  const MemoryRegion* const region = region_of(guest_address);
  if (region == nullptr) return {};
  const std::uint64_t offset = guest_address - region->guest_address;
  return region->bytes.subspan(offset, std::min(length, region->bytes.size() - offset));
}

MutableBytes MemoryFinder::search(std::uint64_t guest_address, std::uint64_t length) {
  const MemoryRegion* const region = memory_->region_of(guest_address);
  if (region == nullptr) return {};
  last_ = *region;
  const std::uint64_t offset = guest_address - last_.guest_address;
  return last_.bytes.subspan(offset, std::min(length, last_.bytes.size() - offset));
}

MutableBytes GuestMemory::find_user(std::uint64_t user_address, std::uint64_t length) const {
  for (const MemoryRegion& region : regions_) {
    const std::uint64_t offset = user_address - region.user_address;
    if (offset < region.bytes.size() && length <= region.bytes.size() - offset) {
      return region.bytes.subspan(offset, length);
    }
  }
  return {};
}

void GuestMemory::note_written(ByteView bytes) const {
  for (const MemoryRegion& region : regions_) {
    const std::uint8_t* const begin = region.bytes.data();
    if (std::less_equal<>()(begin, bytes.data()) &&
        std::less<>()(bytes.data(), begin + region.bytes.size())) {
      dirty_log_.mark(region.guest_address + static_cast<std::uint64_t>(bytes.data() - begin),
                      bytes.size());
      return;
    }
  }
}

void GuestMemory::note_written(std::span<const MutableBytes> pieces, std::size_t length) const {
  for (const MutableBytes piece : pieces) {
    const std::size_t part = std::min(length, piece.size());
    if (part == 0) return;
    note_written(piece.first(part));
    length -= part;
  }
}

}  // namespace sluice::virtio
