// A kernel, its initramfs and its command line put into a guest's memory, by Linux's 64-bit boot
// protocol (the kernel's Documentation/arch/x86/boot.rst). Pure functions over bytes.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "box/boot/kernel_image.h"

namespace sluice::box {

struct E820Entry {
  enum class Type : std::uint32_t { kRam = 1, kReserved = 2 };
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  Type type = Type::kRam;
};

struct BootPlan {
  ByteView initramfs{};
  std::string_view command_line{};
  std::uint64_t high_memory = 0;        // Its size; it begins at 4 GiB.
  std::uint64_t acpi_root_pointer = 0;  // Guest-physical.
};

// Of a machine with so much memory below the hole and above 4 GiB.
[[nodiscard]] std::vector<E820Entry> e820_map(std::uint64_t low, std::uint64_t high);

// `low` is the guest's memory from address 0 on, up to the hole. Afterwards the first processor may
// begin at image.entry, with RSI = kBootParams, CR3 = kPageTables (low_memory.h). Errors are
// sentences: what does not fit, and how much room there is.
[[nodiscard]] std::expected<void, std::string> load_kernel(MutableBytes low,
                                                           const KernelImage& image,
                                                           const BootPlan& plan);

}  // namespace sluice::box
