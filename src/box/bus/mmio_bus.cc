#include "box/bus/mmio_bus.h"

#include <algorithm>
#include <utility>

namespace sluice::box {

MmioSlot& MmioBus::add(virtio::MmioDevice& device, UniqueFd interrupt) {
  const auto gsi = kSlotsGsi + static_cast<unsigned>(slots_.size());
  slots_.push_back(std::make_unique<MmioSlot>(device, std::move(interrupt), gsi));
  return *slots_.back();
}

MmioSlot* MmioBus::slot_at(std::uint64_t address, std::size_t length) {
  if (address < kSlotsAddress) return nullptr;
  const std::uint64_t index = (address - kSlotsAddress) / kSlotBytes;
  if (index >= slots_.size() || address % kSlotBytes + length > kSlotBytes) return nullptr;
  return slots_[index].get();
}

void MmioBus::read(std::uint64_t address, MutableBytes into) {
  MmioSlot* slot = slot_at(address, into.size());
  if (slot == nullptr) {
    std::ranges::fill(into, std::uint8_t{0xff});
    return;
  }
  slot->read(address % kSlotBytes, into);
}

void MmioBus::write(std::uint64_t address, ByteView bytes) {
  MmioSlot* slot = slot_at(address, bytes.size());
  if (slot != nullptr && slot->write(address % kSlotBytes, bytes)) {
    notifies_.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace sluice::box
