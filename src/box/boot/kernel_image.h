// A Linux kernel's file, looked at before anything of it is used: a bzImage (the kernel's
// Documentation/arch/x86/boot.rst) or an uncompressed ELF vmlinux. The file is hostile: every
// field is checked against the file and the addresses that a guest can have.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace sluice::box {

struct KernelSegment {
  std::uint64_t address = 0;  // Guest-physical.
  ByteView bytes{};           // Of the file.
  std::uint64_t size = 0;     // In memory; what is beyond the bytes is zero.
};

struct KernelImage {
  // The setup header of the boot protocol: from 0x1f1 of the boot parameters on.
  static constexpr std::size_t kHeaderOffset = 0x1f1;
  static constexpr std::size_t kHeaderEnd = 0x290;

  std::vector<KernelSegment> segments;
  std::uint64_t entry = 0;  // In 64-bit mode.
  std::uint64_t end = 0;    // Of the memory that it needs, while it unpacks itself too.
  std::uint64_t initramfs_address_max = 0;  // Of the initramfs's last byte.
  std::size_t command_line_max = 0;         // Without the zero at its end.
  std::array<std::uint8_t, kHeaderEnd - kHeaderOffset> header{};
};

// Memory below this is the boot parameters', the tables' and the firmware's.
inline constexpr std::uint64_t kKernelMin = 0x10'0000;

// The views are of `file`. Errors are sentences without the file's name: "it is no Linux kernel".
[[nodiscard]] std::expected<KernelImage, std::string> parse_kernel(ByteView file);

}  // namespace sluice::box
