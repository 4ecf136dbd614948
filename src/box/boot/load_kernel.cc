#include "box/boot/load_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "box/boot/little_endian.h"
#include "box/boot/long_mode.h"
#include "box/boot/low_memory.h"

namespace sluice::box {
namespace {

constexpr std::uint64_t kPage = 4096;

// Fields of struct boot_params (arch/x86/include/uapi/asm/bootparam.h, zero-page.rst).
constexpr std::size_t kAcpiRootPointer = 0x070;
constexpr std::size_t kE820Count = 0x1e8;
constexpr std::size_t kLoaderType = 0x210;
constexpr std::size_t kLoadFlags = 0x211;
constexpr std::size_t kInitramfsAddress = 0x218;
constexpr std::size_t kInitramfsSize = 0x21c;
constexpr std::size_t kHeapEnd = 0x224;
constexpr std::size_t kCommandLinePointer = 0x228;
constexpr std::size_t kE820Table = 0x2d0;
constexpr std::size_t kE820EntryBytes = 20;

std::unexpected<std::string> refused(std::string why) { return std::unexpected(std::move(why)); }

void copy(ByteView bytes, MutableBytes into) { std::ranges::copy(bytes, into.begin()); }

// At the top of what the kernel can reach, so that it lies out of its way.
std::optional<std::uint64_t> place_initramfs(std::uint64_t low, const KernelImage& image,
                                             std::uint64_t size) {
  const std::uint64_t top = std::min(low, image.initramfs_address_max + 1);
  if (size > top) return std::nullopt;
  const std::uint64_t address = (top - size) & ~(kPage - 1);
  if (address < image.end) return std::nullopt;
  return address;
}

void write_e820(MutableBytes params, std::uint64_t low, std::uint64_t high) {
  const std::vector<E820Entry> map = e820_map(low, high);
  params[kE820Count] = static_cast<std::uint8_t>(map.size());
  for (std::size_t i = 0; i < map.size(); ++i) {
    const MutableBytes entry = params.subspan(kE820Table + i * kE820EntryBytes, kE820EntryBytes);
    store_le(entry, 0, map[i].address);
    store_le(entry, 8, map[i].size);
    store_le(entry, 16, static_cast<std::uint32_t>(map[i].type));
  }
}

}  // namespace

std::vector<E820Entry> e820_map(std::uint64_t low, std::uint64_t high) {
  using enum E820Entry::Type;
  std::vector<E820Entry> map{
      {.address = 0, .size = kLowMemoryEnd, .type = kRam},
      {.address = kLowMemoryEnd, .size = kKernelMin - kLowMemoryEnd, .type = kReserved},
      {.address = kKernelMin, .size = low - kKernelMin, .type = kRam}};
  if (high > 0) map.push_back({.address = std::uint64_t{1} << 32, .size = high, .type = kRam});
  return map;
}

std::expected<void, std::string> load_kernel(MutableBytes low, const KernelImage& image,
                                             const BootPlan& plan) {
  if (low.size() < image.end) {
    return refused(fmt::format("the kernel needs {} MiB of memory", (image.end >> 20) + 1));
  }
  const std::size_t line = plan.command_line.size();
  if (line > image.command_line_max || line >= kLowMemoryEnd - kCommandLine) {
    return refused(fmt::format("the kernel's command line has {} characters; it takes {}", line,
                               image.command_line_max));
  }
  const auto initramfs = place_initramfs(low.size(), image, plan.initramfs.size());
  if (!initramfs) {
    return refused(fmt::format("there is no room for the kernel and an initramfs of {} MiB",
                               (plan.initramfs.size() >> 20) + 1));
  }
  // Every segment ends at image.end or before. What lies beyond its bytes is zero, as fresh memory
  // is: it is not touched, so that it costs the host no pages.
  for (const KernelSegment& segment : image.segments) {
    copy(segment.bytes, low.subspan(segment.address));
  }
  copy(plan.initramfs, low.subspan(*initramfs));

  const MutableBytes params = low.subspan(kBootParams, kPage);
  std::ranges::fill(params, std::uint8_t{0});
  copy(image.header, params.subspan(KernelImage::kHeaderOffset));
  store_le(params, kAcpiRootPointer, plan.acpi_root_pointer);
  params[kLoaderType] = 0xff;  // A loader without a number of its own.
  params[kLoadFlags] |= 0x81;  // The kernel lies high; there is a heap.
  store_le<std::uint16_t>(params, kHeapEnd, 0xfe00);
  store_le(params, kInitramfsAddress, static_cast<std::uint32_t>(*initramfs));
  store_le(params, kInitramfsSize, static_cast<std::uint32_t>(plan.initramfs.size()));
  store_le(params, kCommandLinePointer, static_cast<std::uint32_t>(kCommandLine));
  write_e820(params, low.size(), plan.high_memory);

  const MutableBytes text = low.subspan(kCommandLine, line + 1);
  std::ranges::transform(plan.command_line, text.begin(),
                         [](char c) { return static_cast<std::uint8_t>(c); });
  text.back() = 0;
  write_page_tables(low);
  write_descriptor_table(low);
  return {};
}

}  // namespace sluice::box
