#include "box/bus/mmio_bus.h"

#include <algorithm>
#include <utility>

namespace sluice::box {

MmioSlot& MmioBus::add(virtio::MmioDevice& device, UniqueFd interrupt) {
  const auto gsi = kSlotsGsi + static_cast<unsigned>(slots_.size());
  slots_.push_back(std::make_unique<MmioSlot>(device, std::move(interrupt), gsi));
  return *slots_.back();
}

MmioBus::Place MmioBus::find(std::uint64_t address, std::size_t length) const {
  if (address < kSlotsAddress) return {};
  const std::uint64_t index = (address - kSlotsAddress) / kSlotStride;
  if (index >= slots_.size() || address < address_of(index)) return {};
  const std::uint64_t offset = address - address_of(index);
  if (offset + length > kSlotBytes) return {};
  return {.slot = slots_[index].get(), .offset = offset};
}

void MmioBus::read(std::uint64_t address, MutableBytes into) {
  const Place place = find(address, into.size());
  if (place.slot == nullptr) {
    std::ranges::fill(into, std::uint8_t{0xff});
    return;
  }
  place.slot->read(place.offset, into);
}

void MmioBus::write(std::uint64_t address, ByteView bytes) {
  const Place place = find(address, bytes.size());
  if (place.slot != nullptr && place.slot->write(place.offset, bytes)) {
    notifies_.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace sluice::box
