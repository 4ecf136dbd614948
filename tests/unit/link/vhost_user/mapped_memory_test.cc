// Memory of files as front-ends share it: what is mapped, what is refused, and what is left of a
// file that was cut short.
#include "link/vhost_user/mapped_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <limits>

#include "virtio/ring/inflight_packed.h"
#include "virtio/ring/inflight_split.h"

namespace sluice::link {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

[[nodiscard]] UniqueFd memory_file(std::uint64_t size) {
  UniqueFd file(::memfd_create("guest", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
  return file;
}

[[nodiscard]] VhostRegion region(std::uint64_t at, std::uint64_t size, std::uint64_t offset = 0) {
  return {
      .guest_address = at, .size = size, .user_address = 0x7f00'0000'0000 + at, .offset = offset};
}

TEST(MappedMemory, WhatIsSharedIsTheSameMemory) {
  const UniqueFd file = memory_file(2 * kMiB);
  MappedMemory memory;
  ASSERT_TRUE(memory.add(region(0x10'0000, kMiB, 4096), file));
  const MutableBytes bytes = memory.guest().find(0x10'0000, kMiB);
  ASSERT_EQ(bytes.size(), kMiB);
  bytes[5] = 42;
  std::uint8_t read = 0;
  ASSERT_EQ(::pread(file.get(), &read, 1, 4096 + 5), 1);
  EXPECT_EQ(read, 42);
  EXPECT_EQ(memory.guest().find_user(0x7f00'0010'0000, 1).data(), bytes.data());
  EXPECT_FALSE(memory.broken());
}

TEST(MappedMemory, AnOffsetNeedNotBeThatOfAPage) {
  const UniqueFd file = memory_file(kMiB);
  MappedMemory memory;
  ASSERT_TRUE(memory.add(region(0, 4096, 100), file));
  memory.guest().find(0, 1)[0] = 7;
  std::uint8_t read = 0;
  ASSERT_EQ(::pread(file.get(), &read, 1, 100), 1);
  EXPECT_EQ(read, 7);
}

TEST(MappedMemory, WhatTheFileDoesNotHaveIsNotMapped) {
  const UniqueFd file = memory_file(kMiB);
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  MappedMemory memory;
  EXPECT_FALSE(memory.add(region(0, kMiB + 1), file));
  EXPECT_FALSE(memory.add(region(0, kMiB, 1), file));
  EXPECT_FALSE(memory.add(region(0, 4096, kMiB), file));
  EXPECT_FALSE(memory.add(region(0, 4096, kMax - 4095), file));
  EXPECT_FALSE(memory.add(region(0, kMax), file));
  EXPECT_FALSE(memory.add(region(0, 0), file));
  EXPECT_FALSE(memory.add(region(0, MappedMemory::kTotalMax + 1), file));
  EXPECT_TRUE(memory.guest().regions().empty());
}

TEST(MappedMemory, OnlyFilesAreMemory) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  MappedMemory memory;
  EXPECT_FALSE(memory.add(region(0, 4096), reader));
  EXPECT_FALSE(memory.set_log({.size = 4096}, reader));
}

TEST(MappedMemory, RegionsDoNotOverlapNorWrap) {
  const UniqueFd file = memory_file(kMiB);
  MappedMemory memory;
  ASSERT_TRUE(memory.add(region(kMiB, kMiB), file));
  EXPECT_FALSE(memory.add(region(kMiB, kMiB - 1), file));
  EXPECT_FALSE(memory.add(region(2 * kMiB - 1, 4096), file));
  EXPECT_FALSE(memory.add(region(0, kMiB, 0), memory_file(kMiB - 1)));
  VhostRegion wraps = region(0, 4096);
  wraps.guest_address = std::numeric_limits<std::uint64_t>::max() - 4094;
  EXPECT_FALSE(memory.add(wraps, file));
  // Another place for the guest, and the same for the front-end.
  VhostRegion same_user = region(8 * kMiB, kMiB);
  same_user.user_address = region(kMiB, kMiB).user_address;
  EXPECT_FALSE(memory.add(same_user, file));
  EXPECT_EQ(memory.guest().regions().size(), 1U);
}

TEST(MappedMemory, ATableIsAllOrNothing) {
  std::vector<UniqueFd> files;
  files.push_back(memory_file(kMiB));
  files.push_back(memory_file(kMiB));
  MappedMemory memory;
  EXPECT_TRUE(memory.set_table(std::array{region(0, kMiB), region(kMiB, kMiB)}, files));
  EXPECT_TRUE(memory.set_table(std::array{region(0, kMiB), region(kMiB, 4096)}, files));
  EXPECT_EQ(memory.guest().regions().size(), 2U);
  EXPECT_FALSE(memory.set_table(std::array{region(0, kMiB), region(4096, kMiB)}, files));
  EXPECT_TRUE(memory.guest().regions().empty());
}

TEST(MappedMemory, ThereAreSoManyRegionsAndNoMore) {
  const UniqueFd file = memory_file(4096);
  MappedMemory memory;
  for (std::size_t i = 0; i < kVhostRegionsMax; ++i) {
    ASSERT_TRUE(memory.add(region(i * 4096, 4096), file)) << i;
  }
  EXPECT_FALSE(memory.add(region(kVhostRegionsMax * 4096, 4096), file));
  ASSERT_TRUE(memory.remove(region(4096, 4096)));
  EXPECT_TRUE(memory.add(region(kVhostRegionsMax * 4096, 4096), file));
  EXPECT_FALSE(memory.remove(region(4096, 4096)));
  EXPECT_FALSE(memory.remove(region(0, 4095)));
}

TEST(MappedMemory, ARegionThatIsAddedTwiceIsThereUntilItIsRemovedTwice) {
  const UniqueFd file = memory_file(kMiB);
  MappedMemory memory;
  ASSERT_TRUE(memory.add(region(0, kMiB), file));
  ASSERT_TRUE(memory.add(region(0, kMiB), file));
  EXPECT_EQ(memory.guest().regions().size(), 1U);
  ASSERT_TRUE(memory.remove(region(0, kMiB)));
  EXPECT_EQ(memory.guest().regions().size(), 1U);
  ASSERT_TRUE(memory.remove(region(0, kMiB)));
  EXPECT_TRUE(memory.guest().regions().empty());
  EXPECT_FALSE(memory.remove(region(0, kMiB)));
}

TEST(MappedMemory, AFileThatIsCutShortLeavesZerosAndIsToldOf) {
  const UniqueFd file = memory_file(kMiB);
  MappedMemory memory;
  ASSERT_TRUE(memory.add(region(0, kMiB), file));
  const MutableBytes bytes = memory.guest().find(0, kMiB);
  bytes[0] = 1;
  ASSERT_EQ(::ftruncate(file.get(), 0), 0);
  volatile std::uint8_t* const gone = bytes.data() + kMiB / 2;
  EXPECT_EQ(*gone, 0);
  *gone = 3;
  EXPECT_TRUE(memory.broken());
  memory.clear();
  EXPECT_FALSE(memory.broken());
}

TEST(MappedMemory, PagesAreMarkedWhileThatIsAskedFor) {
  const UniqueFd file = memory_file(kMiB);
  const UniqueFd log = memory_file(4096);
  MappedMemory memory;
  ASSERT_TRUE(memory.add(region(0, kMiB), file));
  ASSERT_TRUE(memory.set_log({.size = 4096, .offset = 0}, log));
  const auto marks = [&] {
    std::uint8_t byte = 0;
    EXPECT_EQ(::pread(log.get(), &byte, 1, 0), 1);
    return byte;
  };
  memory.guest().written(memory.guest().find(0, 1));
  EXPECT_EQ(marks(), 0);
  memory.log_writes(true);
  memory.guest().written(memory.guest().find(4096, 1));
  EXPECT_EQ(marks(), 2);
  memory.log_writes(false);
  memory.guest().written(memory.guest().find(0, 1));
  EXPECT_EQ(marks(), 2);
}

TEST(MappedMemory, EachQueueHasItsPartOfWhatIsInFlight) {
  VhostInflight inflight{.queues = 3, .queue_size = 256};
  auto file = MappedMemory::make_inflight(inflight);
  ASSERT_TRUE(file);
  MappedMemory memory;
  EXPECT_TRUE(memory.inflight_of(0).empty());
  ASSERT_TRUE(memory.set_inflight(inflight, *file));
  for (std::size_t queue = 0; queue < 3; ++queue) {
    const MutableBytes part = memory.inflight_of(queue);
    EXPECT_GE(part.size(), virtio::InflightPacked::region_size(256));
    EXPECT_GE(part.size(), virtio::InflightSplit::region_size(256));
    EXPECT_EQ(part.front(), 0);
    part.front() = static_cast<std::uint8_t>(queue + 1);
  }
  EXPECT_TRUE(memory.inflight_of(3).empty());
  // Whoever maps it next finds what was noted.
  MappedMemory other;
  ASSERT_TRUE(other.set_inflight(inflight, *file));
  EXPECT_EQ(other.inflight_of(2).front(), 3);
  other.forget_inflight();
  EXPECT_TRUE(other.inflight_of(2).empty());
  ASSERT_EQ(::ftruncate(file->get(), 0), 0);
  EXPECT_EQ(memory.inflight_of(2).front(), 0);
  EXPECT_TRUE(memory.broken());
}

}  // namespace
}  // namespace sluice::link
