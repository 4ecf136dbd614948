#include "box/boot/kernel_image.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "box/boot/little_endian.h"

namespace sluice::box {
namespace {

// What initramfs_addr_max says where a kernel has no such field.
constexpr std::uint64_t kInitramfsMax = 0x37ff'ffff;
constexpr std::uint64_t kAddressMax = std::uint64_t{1} << 32;  // Kernels lie in low memory.

std::unexpected<std::string> refused(std::string why) { return std::unexpected(std::move(why)); }

bool has_text(ByteView file, std::size_t offset, std::string_view text) {
  return file.size() >= offset + text.size() &&
         std::memcmp(file.data() + offset, text.data(), text.size()) == 0;
}

// Fields of a bzImage's setup header (boot.rst, "The Real-Mode Kernel Header").
constexpr std::size_t kSetupSectors = 0x1f1;
constexpr std::size_t kBootFlag = 0x1fe;
constexpr std::size_t kJumpLength = 0x201;
constexpr std::size_t kMagic = 0x202;
constexpr std::size_t kVersion = 0x206;
constexpr std::size_t kLoadFlags = 0x211;
constexpr std::size_t kInitramfsMaxField = 0x22c;
constexpr std::size_t kAlignment = 0x230;
constexpr std::size_t kRelocatable = 0x234;
constexpr std::size_t kXLoadFlags = 0x236;
constexpr std::size_t kCommandLineSize = 0x238;
constexpr std::size_t kPreferredAddress = 0x258;
constexpr std::size_t kInitSize = 0x260;
constexpr std::size_t kHeaderNeeded = 0x264;

std::expected<KernelImage, std::string> parse_bzimage(ByteView file) {
  if (file.size() < KernelImage::kHeaderEnd) return refused("the kernel is cut off");
  if (load_le<std::uint16_t>(file, kBootFlag) != 0xaa55) {
    return refused("the kernel's boot flag is wrong");
  }
  // 2.12 has xloadflags, by which a kernel says that it can be entered in 64-bit mode.
  if (load_le<std::uint16_t>(file, kVersion) < 0x020c ||
      (load_le<std::uint16_t>(file, kXLoadFlags) & 1) == 0) {
    return refused("it cannot be entered in 64-bit mode: use a kernel for x86-64, 3.8 or later");
  }
  if ((file[kLoadFlags] & 1) == 0) return refused("it is a zImage, which lies in low memory");
  // The jump at the header's beginning leads over it.
  const std::size_t header_end = kMagic + file[kJumpLength];
  if (header_end < kHeaderNeeded) return refused("the kernel's setup header is too short");

  const std::size_t sectors = file[kSetupSectors] == 0 ? 4 : file[kSetupSectors];
  const std::size_t payload = (sectors + 1) * 512;
  if (payload >= file.size()) return refused("the kernel is cut off");

  KernelImage image;
  const auto address = load_le<std::uint64_t>(file, kPreferredAddress);
  const ByteView bytes = file.subspan(payload);
  const std::uint64_t size =
      std::max<std::uint64_t>(load_le<std::uint32_t>(file, kInitSize), bytes.size());
  if (address < kKernelMin || address >= kAddressMax || size >= kAddressMax ||
      address % 4096 != 0) {
    return refused("the kernel wants to lie where it cannot");
  }
  image.segments.push_back({.address = address, .bytes = bytes, .size = bytes.size()});
  image.entry = address + 0x200;  // boot.rst, "64-bit Boot Protocol".
  if (bytes.size() <= 0x200) return refused("the kernel is cut off");
  image.end = address + size;
  image.initramfs_address_max = load_le<std::uint32_t>(file, kInitramfsMaxField);
  image.command_line_max = load_le<std::uint32_t>(file, kCommandLineSize);
  const std::size_t copied =
      std::min(header_end, KernelImage::kHeaderEnd) - KernelImage::kHeaderOffset;
  std::copy_n(file.begin() + KernelImage::kHeaderOffset, copied, image.header.begin());
  return image;
}

// ELF-64 (the System V ABI's gABI, chapters 4 and 5).
constexpr std::size_t kElfHeader = 64;
constexpr std::size_t kProgramHeader = 56;
constexpr std::size_t kSegmentsMax = 64;
constexpr std::uint32_t kLoad = 1;

std::expected<KernelSegment, std::string> elf_segment(ByteView file, std::size_t at) {
  const auto offset = load_le<std::uint64_t>(file, at + 8);
  const auto address = load_le<std::uint64_t>(file, at + 24);
  const auto in_file = load_le<std::uint64_t>(file, at + 32);
  const auto in_memory = load_le<std::uint64_t>(file, at + 40);
  if (offset > file.size() || in_file > file.size() - offset) {
    return refused("a segment of the kernel is cut off");
  }
  if (in_memory < in_file || in_memory >= kAddressMax || address < kKernelMin ||
      address >= kAddressMax) {
    return refused("a segment of the kernel wants to lie where it cannot");
  }
  return KernelSegment{
      .address = address, .bytes = file.subspan(offset, in_file), .size = in_memory};
}

// What boot parameters say of a kernel that brings no setup header.
void write_elf_header(KernelImage& image) {
  const MutableBytes header = image.header;
  const auto at = [](std::size_t field) { return field - KernelImage::kHeaderOffset; };
  store_le<std::uint16_t>(header, at(kBootFlag), 0xaa55);
  store_le<std::uint32_t>(header, at(kMagic), 0x5372'6448);  // "HdrS".
  store_le<std::uint16_t>(header, at(kVersion), 0x020f);
  store_le<std::uint32_t>(header, at(kInitramfsMaxField), 0x7fff'ffff);
  store_le<std::uint32_t>(header, at(kAlignment), 0x100'0000);
  header[at(kRelocatable)] = 1;
  image.initramfs_address_max = 0x7fff'ffff;
  image.command_line_max = 2047;  // COMMAND_LINE_SIZE of x86.
}

std::expected<KernelImage, std::string> parse_elf(ByteView file) {
  if (file.size() < kElfHeader) return refused("the kernel is cut off");
  // EI_CLASS 2: 64-bit; EI_DATA 1: little-endian; e_machine 62: x86-64.
  if (file[4] != 2 || file[5] != 1 || load_le<std::uint16_t>(file, 18) != 62) {
    return refused("it is an ELF file, but not for x86-64");
  }
  const auto table = load_le<std::uint64_t>(file, 32);
  const std::size_t entry_size = load_le<std::uint16_t>(file, 54);
  const std::size_t count = load_le<std::uint16_t>(file, 56);
  if (entry_size < kProgramHeader || count == 0 || count > kSegmentsMax || table > file.size() ||
      entry_size * count > file.size() - table) {
    return refused("its table of segments is wrong");
  }
  KernelImage image;
  image.entry = load_le<std::uint64_t>(file, 24);
  bool entered = false;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = table + i * entry_size;
    if (load_le<std::uint32_t>(file, at) != kLoad) continue;
    auto segment = elf_segment(file, at);
    if (!segment) return refused(std::move(segment.error()));
    image.end = std::max(image.end, segment->address + segment->size);
    entered |=
        image.entry >= segment->address && image.entry - segment->address < segment->bytes.size();
    image.segments.push_back(*segment);
  }
  if (!entered) return refused("its entry lies outside of its segments");
  write_elf_header(image);
  return image;
}

}  // namespace

std::expected<KernelImage, std::string> parse_kernel(ByteView file) {
  if (has_text(file, 0, "\177ELF")) return parse_elf(file);
  if (!has_text(file, kMagic, "HdrS")) {
    return refused("it is no Linux kernel: neither a bzImage (vmlinuz) nor an ELF vmlinux");
  }
  auto image = parse_bzimage(file);
  if (image && image->initramfs_address_max == 0) image->initramfs_address_max = kInitramfsMax;
  return image;
}

}  // namespace sluice::box
