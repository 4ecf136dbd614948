#include "box/boot/load_kernel.h"

#include <gtest/gtest.h>

#include <string>

#include "box/boot/low_memory.h"
#include "unit/box/boot/test_kernel.h"

namespace sluice::box {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

class Loading : public ::testing::Test {
 protected:
  std::string load(const std::vector<std::uint8_t>& file, const BootPlan& plan) {
    const auto image = parse_kernel(file);
    if (!image) return image.error();
    const auto done = load_kernel(low_, *image, plan);
    return done ? "" : done.error();
  }
  template <typename T>
  T param(std::size_t offset) {
    return load_le<T>(low_, kBootParams + offset);
  }
  std::string text_at(std::uint64_t address) {
    return reinterpret_cast<const char*>(low_.data() + address);
  }

  std::vector<std::uint8_t> low_ = std::vector<std::uint8_t>(64 * kMiB);
};

TEST_F(Loading, PutsEverythingWhereTheKernelLooks) {
  const std::vector<std::uint8_t> initramfs(5000, 0x77);
  ASSERT_EQ(load(test_bzimage(), {.initramfs = initramfs,
                                  .command_line = "console=ttyS0",
                                  .high_memory = 2 * kMiB,
                                  .acpi_root_pointer = kAcpiTables}),
            "");
  EXPECT_EQ(low_[0x100'0000], 0xcc);
  EXPECT_EQ(param<std::uint64_t>(0x070), kAcpiTables);
  EXPECT_EQ(param<std::uint8_t>(0x210), 0xff);
  EXPECT_EQ(param<std::uint32_t>(0x202), 0x5372'6448U);  // The kernel's header came along.
  EXPECT_EQ(text_at(param<std::uint32_t>(0x228)), "console=ttyS0");

  const auto at = param<std::uint32_t>(0x218);
  EXPECT_EQ(param<std::uint32_t>(0x21c), 5000U);
  EXPECT_EQ(at % 4096, 0U);
  EXPECT_GE(at, 0x180'0000U);
  EXPECT_EQ(low_[at], 0x77);
  EXPECT_EQ(low_[at + 4999], 0x77);

  ASSERT_EQ(param<std::uint8_t>(0x1e8), 4);
  EXPECT_EQ(param<std::uint64_t>(0x2d0 + 3 * 20), std::uint64_t{1} << 32);
  EXPECT_EQ(param<std::uint64_t>(0x2d0 + 3 * 20 + 8), 2 * kMiB);
}

TEST_F(Loading, AVmlinuxHasAHeaderOfOurs) {
  ASSERT_EQ(load(test_elf(), {}), "");
  EXPECT_EQ(low_[0x100'0000], 0xf4);
  EXPECT_EQ(param<std::uint16_t>(0x1fe), 0xaa55);
  EXPECT_EQ(param<std::uint32_t>(0x202), 0x5372'6448U);
  EXPECT_EQ(param<std::uint32_t>(0x21c), 0U);
}

TEST_F(Loading, MemoryIsToldWithoutTheFirmwaresPart) {
  const auto map = e820_map(64 * kMiB, 0);
  ASSERT_EQ(map.size(), 3U);
  EXPECT_EQ(map[0].size, kLowMemoryEnd);
  EXPECT_EQ(map[1].type, E820Entry::Type::kReserved);
  EXPECT_LE(map[1].address, kAcpiTables);
  EXPECT_GE(map[1].address + map[1].size, kAcpiTablesEnd);
  EXPECT_EQ(map[2].address, kMiB);
  EXPECT_EQ(map[2].size, 63 * kMiB);
}

TEST_F(Loading, SaysWhatDoesNotFit) {
  auto large = test_bzimage();
  store_le<std::uint32_t>(large, 0x260, 100 << 20);
  EXPECT_EQ(load(large, {}), "the kernel needs 117 MiB of memory");

  const std::vector<std::uint8_t> initramfs(50 * kMiB);
  EXPECT_EQ(load(test_bzimage(), {.initramfs = initramfs}),
            "there is no room for the kernel and an initramfs of 51 MiB");

  const std::string line(2048, 'x');
  EXPECT_EQ(load(test_bzimage(), {.command_line = line}),
            "the kernel's command line has 2048 characters; it takes 2047");

  auto boundless = test_bzimage();
  store_le<std::uint32_t>(boundless, 0x238, 0xffff'ffff);
  const std::string wild(1 * kMiB, 'x');
  EXPECT_NE(load(boundless, {.command_line = wild}), "");
}

TEST_F(Loading, AnInitramfsLiesWhereTheKernelCanReachIt) {
  auto near = test_bzimage();
  store_le<std::uint32_t>(near, 0x22c, 0x1ff'ffff);
  const std::vector<std::uint8_t> initramfs(4096);
  ASSERT_EQ(load(near, {.initramfs = initramfs}), "");
  EXPECT_EQ(param<std::uint32_t>(0x218), 0x1ff'f000U);
}

}  // namespace
}  // namespace sluice::box
