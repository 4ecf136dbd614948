// Files of kernels that hold nothing but what a loader looks at.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "box/boot/kernel_image.h"
#include "box/boot/little_endian.h"

namespace sluice::box {

// One sector of setup, and a payload of two pages.
inline std::vector<std::uint8_t> test_bzimage() {
  std::vector<std::uint8_t> file(1024 + 8192, 0xcc);
  const MutableBytes bytes = file;
  std::fill_n(file.begin(), 1024, std::uint8_t{0});
  file[0x1f1] = 1;
  store_le<std::uint16_t>(bytes, 0x1fe, 0xaa55);
  file[0x200] = 0xeb;
  file[0x201] = 0x6a;  // The header ends at 0x26c.
  store_le<std::uint32_t>(bytes, 0x202, 0x5372'6448);
  store_le<std::uint16_t>(bytes, 0x206, 0x020f);
  file[0x211] = 1;
  store_le<std::uint32_t>(bytes, 0x22c, 0x7fff'ffff);
  store_le<std::uint32_t>(bytes, 0x230, 0x20'0000);
  file[0x234] = 1;
  store_le<std::uint16_t>(bytes, 0x236, 0x003f);
  store_le<std::uint32_t>(bytes, 0x238, 2047);
  store_le<std::uint64_t>(bytes, 0x258, 0x100'0000);
  store_le<std::uint32_t>(bytes, 0x260, 0x80'0000);
  return file;
}

// One segment of 16 bytes in the file and a page in memory, entered at its beginning.
inline std::vector<std::uint8_t> test_elf() {
  std::vector<std::uint8_t> file(64 + 56 + 16, 0);
  const MutableBytes bytes = file;
  store_le<std::uint32_t>(bytes, 0, 0x464c'457f);
  file[4] = 2;
  file[5] = 1;
  store_le<std::uint16_t>(bytes, 18, 62);
  store_le<std::uint64_t>(bytes, 24, 0x100'0000);
  store_le<std::uint64_t>(bytes, 32, 64);
  store_le<std::uint16_t>(bytes, 54, 56);
  store_le<std::uint16_t>(bytes, 56, 1);
  store_le<std::uint32_t>(bytes, 64, 1);
  store_le<std::uint64_t>(bytes, 64 + 8, 64 + 56);
  store_le<std::uint64_t>(bytes, 64 + 24, 0x100'0000);
  store_le<std::uint64_t>(bytes, 64 + 32, 16);
  store_le<std::uint64_t>(bytes, 64 + 40, 4096);
  std::fill_n(file.begin() + 64 + 56, 16, std::uint8_t{0xf4});
  return file;
}

}  // namespace sluice::box
