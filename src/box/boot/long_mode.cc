#include "box/boot/long_mode.h"

#include <algorithm>
#include <cstdint>

#include "box/boot/little_endian.h"
#include "box/boot/low_memory.h"

namespace sluice::box {
namespace {

// Intel's manual, volume 3, 4.5: present, writable, and a page of 2 MiB.
constexpr std::uint64_t kPresent = 3;
constexpr std::uint64_t kLargePage = 0x80;
constexpr std::uint64_t kPageBytes = 4096;

}  // namespace

void write_page_tables(MutableBytes low) {
  std::ranges::fill(low.subspan(kPageTables, kPageTableBytes), std::uint8_t{0});
  constexpr std::uint64_t kPointers = kPageTables + kPageBytes;
  constexpr std::uint64_t kDirectories = kPointers + kPageBytes;
  store_le<std::uint64_t>(low, kPageTables, kPointers | kPresent);
  for (std::uint64_t gib = 0; gib < 4; ++gib) {
    const std::uint64_t directory = kDirectories + gib * kPageBytes;
    store_le<std::uint64_t>(low, kPointers + gib * 8, directory | kPresent);
    for (std::uint64_t i = 0; i < 512; ++i) {
      const std::uint64_t page = gib << 30 | i << 21;
      store_le<std::uint64_t>(low, directory + i * 8, page | kLargePage | kPresent);
    }
  }
}

// boot.rst, "64-bit Boot Protocol": __BOOT_CS is 0x10, __BOOT_DS is 0x18.
void write_descriptor_table(MutableBytes low) {
  std::ranges::fill(low.subspan(kDescriptorTable, kDescriptorTableBytes), std::uint8_t{0});
  store_le<std::uint64_t>(low, kDescriptorTable + 0x10, std::uint64_t{0x00af'9b00'0000'ffff});
  store_le<std::uint64_t>(low, kDescriptorTable + 0x18, std::uint64_t{0x00cf'9300'0000'ffff});
}

}  // namespace sluice::box
