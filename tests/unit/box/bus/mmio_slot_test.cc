#include "box/bus/mmio_slot.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "box/boot/little_endian.h"
#include "unit/box/fake_device.h"

namespace sluice::box {
namespace {

constexpr std::uint64_t kInterruptStatus = 0x60;
constexpr std::uint64_t kInterruptAck = 0x64;
constexpr std::uint64_t kStatus = 0x70;
constexpr std::uint64_t kGeneration = 0xfc;

class ASlot : public ::testing::Test {
 protected:
  std::uint32_t read(std::uint64_t offset) {
    std::array<std::uint8_t, 4> bytes{};
    slot_.read(offset, bytes);
    return load_le<std::uint32_t>(bytes, 0);
  }
  bool write(std::uint64_t offset, std::uint32_t value) {
    std::array<std::uint8_t, 4> bytes{};
    store_le(bytes, 0, value);
    return slot_.write(offset, bytes);
  }
  std::uint64_t raised() {
    std::uint64_t count = 0;
    return ::read(slot_.fd(), &count, sizeof count) == sizeof count ? count : 0;
  }

  FakeDevice device_{2};
  MmioSlot slot_{device_, UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), 5};
};

TEST_F(ASlot, ShowsItsDevice) {
  EXPECT_EQ(read(0x00), 0x7472'6976U);  // "virt".
  EXPECT_EQ(read(0x08), 4U);
  EXPECT_EQ(read(0x100), 0x1111'1111U);
}

TEST_F(ASlot, TellsTheDriverByItsEventfd) {
  device_.interrupt().used();
  EXPECT_EQ(raised(), 1U);
  EXPECT_EQ(read(kInterruptStatus), 1U);
  write(kInterruptAck, 1);
  EXPECT_EQ(read(kInterruptStatus), 0U);
}

TEST_F(ASlot, AChangeOfTheConfigurationHasAnotherGeneration) {
  const std::uint32_t before = read(kGeneration);
  device_.interrupt().config_changed();
  EXPECT_EQ(raised(), 1U);
  EXPECT_EQ(read(kInterruptStatus), 2U);
  EXPECT_NE(read(kGeneration), before);
}

TEST_F(ASlot, ADeviceThatNeedsAResetSaysSoUntilItHasOne) {
  device_.interrupt().needs_reset();
  EXPECT_EQ(raised(), 1U);
  EXPECT_EQ(read(kStatus) & 64, 64U);
  write(kStatus, 0);
  EXPECT_EQ(read(kStatus), 0U);
  EXPECT_EQ(device_.resets, 1);
}

// What a guest reads that has the page mapped.
TEST_F(ASlot, ThePageShowsWhatReadsDo) {
  const auto shown = [this](std::uint64_t offset) {
    return load_le<std::uint32_t>(slot_.page(), 0x1000 - MmioSlot::kRegisterBytes + offset);
  };
  const auto same = [&] {
    for (std::uint64_t offset = 0; offset < MmioSlot::kRegisterBytes; offset += 4) {
      EXPECT_EQ(shown(offset), read(offset)) << offset;
    }
  };
  same();
  write(0x14, 1);
  EXPECT_EQ(shown(0x10), 1U);  // VERSION_1, of the second half.
  write(0x30, 1);
  EXPECT_EQ(shown(0x34), 256U);
  write(kStatus, 3);
  device_.interrupt().used();
  device_.interrupt().config_changed();
  device_.interrupt().needs_reset();
  EXPECT_EQ(shown(kStatus), 3U | 64U);
  EXPECT_EQ(shown(kInterruptStatus), 3U);
  same();
  write(kInterruptAck, 2);
  same();
  write(kStatus, 0);
  EXPECT_EQ(shown(kStatus), 0U);
  same();
}

TEST_F(ASlot, ThePageHasNothingElse) {
  const MutableBytes page = slot_.page();
  ASSERT_EQ(page.size(), 4096U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(page.data()) % 4096, 0U);
  EXPECT_TRUE(std::ranges::all_of(page.first(0x1000 - MmioSlot::kRegisterBytes),
                                  [](std::uint8_t byte) { return byte == 0; }));
}

TEST_F(ASlot, KeptUsedIsShownWhateverIsAcknowledged) {
  slot_.keep_used();
  device_.interrupt().config_changed();
  write(kInterruptAck, 3);
  EXPECT_EQ(read(kInterruptStatus), 1U);
  write(kStatus, 0);
  EXPECT_EQ(read(kInterruptStatus), 1U);
}

TEST_F(ASlot, ANotificationThatKvmDidNotTakeReachesItsQueue) {
  EXPECT_TRUE(write(MmioSlot::kQueueNotify, 1));
  EXPECT_EQ(device_.kicked(0), 0U);
  EXPECT_EQ(device_.kicked(1), 1U);
}

TEST_F(ASlot, NotificationsOfNoQueueAndOfOddSizesAreNothing) {
  EXPECT_TRUE(write(MmioSlot::kQueueNotify, 2));
  EXPECT_TRUE(write(MmioSlot::kQueueNotify, 0xffff'ffff));
  const std::array<std::uint8_t, 2> half{};
  EXPECT_TRUE(slot_.write(MmioSlot::kQueueNotify, half));
  EXPECT_EQ(device_.kicked(0), 0U);
  EXPECT_EQ(device_.kicked(1), 0U);
}

}  // namespace
}  // namespace sluice::box
