// Mappings of files that are cut short.
#include "link/shared/fault_guard.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace sluice::link {
namespace {

constexpr std::size_t kSize = 64 * 1024;

struct Mapping {
  Mapping() : file(::memfd_create("guarded", MFD_CLOEXEC)) {
    EXPECT_EQ(::ftruncate(file.get(), kSize), 0);
    at = static_cast<std::uint8_t*>(
        ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
  }
  ~Mapping() { ::munmap(at, kSize); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  void cut() const { ASSERT_EQ(::ftruncate(file.get(), 0), 0); }
  [[nodiscard]] std::uint8_t read(std::size_t offset) const {
    return *static_cast<volatile std::uint8_t*>(at + offset);
  }

  UniqueFd file;
  std::uint8_t* at = nullptr;
};

TEST(GuardedRange, WhatIsGoneReadsAsZeroAndCanBeWritten) {
  const Mapping mapping;
  mapping.at[100] = 5;
  const auto guard = GuardedRange::claim({mapping.at, kSize});
  ASSERT_TRUE(guard);
  EXPECT_EQ(mapping.read(100), 5);
  EXPECT_FALSE(guard->broken());
  mapping.cut();
  EXPECT_EQ(mapping.read(100), 0);
  EXPECT_TRUE(guard->broken());
  mapping.at[kSize - 1] = 9;
  EXPECT_EQ(mapping.read(kSize - 1), 9);
}

TEST(GuardedRange, OthersAreNotConcerned) {
  const Mapping cut;
  const Mapping whole;
  whole.at[7] = 7;
  const auto first = GuardedRange::claim({cut.at, kSize});
  const auto second = GuardedRange::claim({whole.at, kSize});
  cut.cut();
  EXPECT_EQ(cut.read(7), 0);
  EXPECT_EQ(whole.read(7), 7);
  EXPECT_TRUE(first->broken());
  EXPECT_FALSE(second->broken());
}

TEST(GuardedRange, SeveralThreadsMayFaultInItAtOnce) {
  const Mapping mapping;
  mapping.at[5] = 5;
  const auto guard = GuardedRange::claim({mapping.at, kSize});
  mapping.cut();
  std::atomic<int> waiting{4};
  std::array<std::thread, 4> threads;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    threads[i] = std::thread([&, i] {
      --waiting;
      while (waiting > 0) std::this_thread::yield();
      for (std::size_t at = i; at < kSize; at += 4096) EXPECT_EQ(mapping.read(at), 0);
    });
  }
  // Others come and go meanwhile.
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(GuardedRange::claim({mapping.at + 8192, 4096}));
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(guard->broken());
}

TEST(GuardedRange, MovedItGuardsTheSame) {
  const Mapping mapping;
  auto first = GuardedRange::claim({mapping.at, kSize});
  const GuardedRange second = std::move(*first);
  mapping.cut();
  EXPECT_EQ(mapping.read(0), 0);
  EXPECT_TRUE(second.broken());
}

TEST(GuardedRange, ThereAreSoManyAndTheirPlacesAreUsedAgain) {
  const Mapping mapping;
  std::vector<GuardedRange> all;
  while (auto guard = GuardedRange::claim({mapping.at, kSize})) all.push_back(std::move(*guard));
  EXPECT_EQ(all.size(), GuardedRange::kRangesMax);
  all.clear();
  EXPECT_TRUE(GuardedRange::claim({mapping.at, kSize}));
}

TEST(GuardedRangeDeathTest, AFaultElsewhereEndsTheProcessAsBefore) {
  const Mapping guarded;
  const auto guard = GuardedRange::claim({guarded.at, kSize});
  const Mapping other;
  other.cut();
  EXPECT_DEATH((void)other.read(0), "");
}

}  // namespace
}  // namespace sluice::link
