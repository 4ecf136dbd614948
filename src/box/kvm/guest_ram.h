// A guest's memory: one memfd that is mapped here and that other processes (virtiofsd) map as well,
// in two regions of guest-physical memory, below the hole for devices and from 4 GiB on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "sys/setup_error.h"
#include "virtio/guest_memory.h"

namespace sluice::box {

// From here to 4 GiB are devices: virtio-mmio, IOAPIC, local APIC, and what KVM needs.
inline constexpr std::uint64_t kDeviceHole = 0xc000'0000;
inline constexpr std::uint64_t kHighMemory = 0x1'0000'0000;
// What a distribution's kernel needs to unpack itself, with an initramfs of some megabytes.
inline constexpr std::uint64_t kMemoryMin = std::uint64_t{64} << 20;

struct MemoryRange {
  std::uint64_t guest_address = 0;  // Guest-physical.
  std::uint64_t size = 0;
  std::uint64_t offset = 0;  // In the file.
};

// For a process that maps the guest's memory, too.
struct MemoryFile {
  int fd = -1;  // Not owned.
  std::vector<MemoryRange> ranges;
};

// Where `size` bytes of memory lie: one range, or two.
[[nodiscard]] std::vector<MemoryRange> memory_ranges(std::uint64_t size);

class GuestRam {
 public:
  // Whole pages; nothing is taken from the system before the guest touches it. The file neither
  // shrinks nor grows: whoever maps it can make nobody fault.
  [[nodiscard]] static std::expected<GuestRam, sys::SetupError> create(std::uint64_t size);
  GuestRam(GuestRam&& other) noexcept;
  GuestRam& operator=(GuestRam&&) = delete;
  ~GuestRam();

  [[nodiscard]] const virtio::GuestMemory& memory() const { return memory_; }
  [[nodiscard]] MemoryFile file() const { return {.fd = fd_.get(), .ranges = ranges_}; }
  // From guest-physical address 0 on, up to the hole.
  [[nodiscard]] MutableBytes low() const { return bytes_.first(ranges_.front().size); }
  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }

 private:
  GuestRam(UniqueFd fd, MutableBytes bytes);

  UniqueFd fd_;
  MutableBytes bytes_;  // All of the file.
  std::vector<MemoryRange> ranges_;
  virtio::GuestMemory memory_;
};

}  // namespace sluice::box
