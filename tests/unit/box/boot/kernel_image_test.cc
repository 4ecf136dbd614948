#include "box/boot/kernel_image.h"

#include <gtest/gtest.h>

#include <string>

#include "unit/box/boot/test_kernel.h"

namespace sluice::box {
namespace {

using File = std::vector<std::uint8_t>;

std::string refusal(const File& file) {
  const auto image = parse_kernel(file);
  return image ? "" : image.error();
}

// Of a bzImage, or an ELF file, with one field changed.
template <std::unsigned_integral T>
std::string refusal_with(File file, std::size_t offset, T value) {
  store_le<T>(file, offset, value);
  return refusal(file);
}

TEST(KernelImage, ABzImageIsEnteredBehindItsSetup) {
  const File file = test_bzimage();
  const auto image = parse_kernel(file);
  ASSERT_TRUE(image) << image.error();
  ASSERT_EQ(image->segments.size(), 1U);
  EXPECT_EQ(image->segments[0].address, 0x100'0000U);
  EXPECT_EQ(image->segments[0].bytes.data(), file.data() + 1024);
  EXPECT_EQ(image->segments[0].bytes.size(), 8192U);
  EXPECT_EQ(image->entry, 0x100'0200U);
  EXPECT_EQ(image->end, 0x180'0000U);
  EXPECT_EQ(image->initramfs_address_max, 0x7fff'ffffU);
  EXPECT_EQ(image->command_line_max, 2047U);
  // The header's first byte is at 0x1f1, and nothing behind its end was taken.
  EXPECT_EQ(image->header[0], 1);
  EXPECT_EQ(image->header[0x26c - 0x1f1], 0);
}

TEST(KernelImage, AVmlinuxIsEnteredWhereItSays) {
  const File file = test_elf();
  const auto image = parse_kernel(file);
  ASSERT_TRUE(image) << image.error();
  ASSERT_EQ(image->segments.size(), 1U);
  EXPECT_EQ(image->segments[0].bytes.size(), 16U);
  EXPECT_EQ(image->segments[0].size, 4096U);
  EXPECT_EQ(image->entry, 0x100'0000U);
  EXPECT_EQ(image->end, 0x100'1000U);
}

TEST(KernelImage, WhatIsNoKernelIsRefused) {
  EXPECT_EQ(refusal({}), "it is no Linux kernel: neither a bzImage (vmlinuz) nor an ELF vmlinux");
  EXPECT_EQ(refusal(File(10'000, 0)), refusal({}));
}

// Of a hostile file, every truncation is refused or a kernel whose parts lie within it.
TEST(KernelImage, EveryTruncationIsRefusedOrWhole) {
  for (const File& whole : {test_bzimage(), test_elf()}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const File cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      const auto image = parse_kernel(cut);
      if (!image) continue;
      for (const KernelSegment& segment : image->segments) {
        EXPECT_LE(segment.bytes.data() + segment.bytes.size(), cut.data() + cut.size());
      }
    }
  }
}

TEST(KernelImage, ABzImageThatCannotBeEnteredIsRefused) {
  const std::string not64 =
      "it cannot be entered in 64-bit mode: use a kernel for x86-64, 3.8 or later";
  const File file = test_bzimage();
  EXPECT_EQ(refusal_with<std::uint16_t>(file, 0x206, 0x0208), not64);
  EXPECT_EQ(refusal_with<std::uint16_t>(file, 0x236, 0x003e), not64);
  EXPECT_EQ(refusal_with<std::uint16_t>(file, 0x1fe, 0), "the kernel's boot flag is wrong");
  EXPECT_EQ(refusal_with<std::uint8_t>(file, 0x211, 0), "it is a zImage, which lies in low memory");
  EXPECT_EQ(refusal_with<std::uint8_t>(file, 0x201, 0x10),
            "the kernel's setup header is too short");
  EXPECT_EQ(refusal_with<std::uint8_t>(file, 0x1f1, 200), "the kernel is cut off");
}

TEST(KernelImage, ABzImageLiesWhereAGuestHasMemory) {
  const std::string wild = "the kernel wants to lie where it cannot";
  const File file = test_bzimage();
  for (const std::uint64_t address :
       {std::uint64_t{0}, std::uint64_t{0x9000}, std::uint64_t{0x100'0001}, std::uint64_t{1} << 32,
        ~std::uint64_t{0xfff}}) {
    EXPECT_EQ(refusal_with<std::uint64_t>(file, 0x258, address), wild) << address;
  }
}

TEST(KernelImage, AVmlinuxWithWildSegmentsIsRefused) {
  const File file = test_elf();
  constexpr std::size_t kSegment = 64;
  const std::uint64_t huge = ~std::uint64_t{0};
  EXPECT_EQ(refusal_with<std::uint64_t>(file, kSegment + 8, huge),
            "a segment of the kernel is cut off");
  EXPECT_EQ(refusal_with<std::uint64_t>(file, kSegment + 32, huge),
            "a segment of the kernel is cut off");
  const std::string wild = "a segment of the kernel wants to lie where it cannot";
  EXPECT_EQ(refusal_with<std::uint64_t>(file, kSegment + 24, 0x7000), wild);
  EXPECT_EQ(refusal_with<std::uint64_t>(file, kSegment + 24, huge), wild);
  EXPECT_EQ(refusal_with<std::uint64_t>(file, kSegment + 40, 8), wild);
  EXPECT_EQ(refusal_with<std::uint64_t>(file, kSegment + 40, huge), wild);
  EXPECT_EQ(refusal_with<std::uint64_t>(file, 24, 0x200'0000),
            "its entry lies outside of its segments");
}

TEST(KernelImage, AVmlinuxWithAWildTableIsRefused) {
  const File file = test_elf();
  const std::string wrong = "its table of segments is wrong";
  EXPECT_EQ(refusal_with<std::uint64_t>(file, 32, ~std::uint64_t{0}), wrong);
  EXPECT_EQ(refusal_with<std::uint64_t>(file, 32, 100), wrong);
  EXPECT_EQ(refusal_with<std::uint16_t>(file, 54, 8), wrong);
  EXPECT_EQ(refusal_with<std::uint16_t>(file, 56, 0), wrong);
  EXPECT_EQ(refusal_with<std::uint16_t>(file, 56, 0xffff), wrong);
  EXPECT_EQ(refusal_with<std::uint16_t>(file, 18, 3), "it is an ELF file, but not for x86-64");
}

}  // namespace
}  // namespace sluice::box
