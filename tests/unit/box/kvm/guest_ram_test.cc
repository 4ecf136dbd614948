#include "box/kvm/guest_ram.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace sluice::box {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

TEST(GuestRam, LiesBelowTheHoleAndFrom4GiBOn) {
  EXPECT_EQ(memory_ranges(256 * kMiB).size(), 1U);
  const auto ranges = memory_ranges(4096 * kMiB);
  ASSERT_EQ(ranges.size(), 2U);
  EXPECT_EQ(ranges[0].size, kDeviceHole);
  EXPECT_EQ(ranges[1].guest_address, kHighMemory);
  EXPECT_EQ(ranges[1].size, 1024 * kMiB);
  EXPECT_EQ(ranges[1].offset, kDeviceHole);
}

TEST(GuestRam, IsFoundByGuestPhysicalAddresses) {
  const auto ram = GuestRam::create(kDeviceHole + 64 * kMiB);
  ASSERT_TRUE(ram);
  EXPECT_EQ(ram->low().size(), kDeviceHole);
  EXPECT_EQ(ram->memory().find(kHighMemory, 8).data(), ram->low().data() + kDeviceHole);
  EXPECT_TRUE(ram->memory().find(kDeviceHole, 8).empty());
  EXPECT_EQ(ram->memory().find(kHighMemory + 64 * kMiB - 4, 8).size(), 4U);
}

TEST(GuestRam, IsSharedByItsFile) {
  const auto ram = GuestRam::create(64 * kMiB);
  ASSERT_TRUE(ram);
  ram->low()[4096] = 0x5a;
  const MemoryFile file = ram->file();
  std::uint8_t seen = 0;
  ASSERT_EQ(::pread(file.fd, &seen, 1, static_cast<off_t>(file.ranges[0].offset) + 4096), 1);
  EXPECT_EQ(seen, 0x5a);
}

// Otherwise a process that maps it could make us fault.
TEST(GuestRam, NobodyCutsItsFile) {
  const auto ram = GuestRam::create(64 * kMiB);
  ASSERT_TRUE(ram);
  EXPECT_EQ(::ftruncate(ram->file().fd, 4096), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(GuestRam, IsNotTooSmallForAKernel) {
  const auto ram = GuestRam::create(63 * kMiB);
  ASSERT_FALSE(ram);
  EXPECT_EQ(ram.error().describe(), "the guest's memory of 63 MiB; it needs 64 MiB at least");
}

}  // namespace
}  // namespace sluice::box
