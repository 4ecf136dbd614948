// The guest-physical addresses of devices: two pages for each slot, and an interrupt line. The
// registers are at the end of the first page, which the guest may have mapped for reading; the
// device's configuration is the second, which it never has. What lies elsewhere reads as ones and
// takes no writes, as a PC's bus does it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "box/bus/mmio_slot.h"
#include "virtio/mmio/mmio_device.h"

namespace sluice::box {

inline constexpr std::uint64_t kSlotsAddress = 0xd000'0000;
inline constexpr std::uint64_t kSlotStride = 0x2000;
inline constexpr std::uint64_t kSlotBytes = MmioSlot::kRegisterBytes + 0x1000;
// KVM's IOAPIC has 24 lines; those below 5 are the timer's, the keyboard's and serial ports' on
// every PC, so that a kernel may have ideas about them.
inline constexpr unsigned kSlotsGsi = 5;
inline constexpr std::size_t kDevicesMax = 24 - kSlotsGsi;

// Slots are added before vCPUs run; read() and write() are safe from any thread.
class MmioBus {
 public:
  // In the next slot; there is one.
  MmioSlot& add(virtio::MmioDevice& device, UniqueFd interrupt);
  [[nodiscard]] bool full() const { return slots_.size() == kDevicesMax; }
  [[nodiscard]] std::size_t size() const { return slots_.size(); }
  [[nodiscard]] const MmioSlot& slot(std::size_t index) const { return *slots_[index]; }
  // Of the page with its registers, and of the first of these.
  [[nodiscard]] static std::uint64_t page_of(std::size_t index) {
    return kSlotsAddress + index * kSlotStride;
  }
  [[nodiscard]] static std::uint64_t address_of(std::size_t index) {
    return page_of(index) + sizeof(RegisterPage) - MmioSlot::kRegisterBytes;
  }

  void read(std::uint64_t address, MutableBytes into);
  void write(std::uint64_t address, ByteView bytes);
  // Of queues, that came here.
  [[nodiscard]] std::uint64_t notifies() const { return notifies_.load(std::memory_order_relaxed); }

 private:
  struct Place {
    MmioSlot* slot = nullptr;  // None there, or the access leaves it.
    std::uint64_t offset = 0;
  };
  [[nodiscard]] Place find(std::uint64_t address, std::size_t length) const;

  std::vector<std::unique_ptr<MmioSlot>> slots_;
  std::atomic<std::uint64_t> notifies_ = 0;
};

}  // namespace sluice::box
