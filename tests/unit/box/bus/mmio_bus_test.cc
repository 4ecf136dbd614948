#include "box/bus/mmio_bus.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "box/boot/little_endian.h"
#include "unit/box/fake_device.h"

namespace sluice::box {
namespace {

class ABus : public ::testing::Test {
 protected:
  ABus() {
    for (FakeDevice* device : {&first_, &second_}) {
      bus_.add(*device, UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
    }
  }
  std::uint32_t read(std::uint64_t address) {
    std::array<std::uint8_t, 4> bytes{};
    bus_.read(address, bytes);
    return load_le<std::uint32_t>(bytes, 0);
  }
  void write(std::uint64_t address, std::uint32_t value) {
    std::array<std::uint8_t, 4> bytes{};
    store_le(bytes, 0, value);
    bus_.write(address, bytes);
  }

  FakeDevice first_{1};
  FakeDevice second_{1};
  MmioBus bus_;
};

TEST_F(ABus, EachDeviceHasItsPlaceAndItsLine) {
  EXPECT_EQ(read(0xd000'0f08), 4U);
  write(0xd000'2f70, 0);
  EXPECT_EQ(first_.resets, 0);
  EXPECT_EQ(second_.resets, 1);
  EXPECT_EQ(bus_.slot(0).gsi(), 5U);
  EXPECT_EQ(bus_.slot(1).gsi(), 6U);
}

TEST_F(ABus, WhereNobodyIsReadsAsOnes) {
  for (const std::uint64_t address :
       {std::uint64_t{0xcfff'ffff}, std::uint64_t{0xd000'4f00}, std::uint64_t{0xd000'0efc},
        std::uint64_t{0xfec0'0000}, ~std::uint64_t{0} - 3}) {
    EXPECT_EQ(read(address), 0xffff'ffffU) << address;
    write(address, 0);
  }
}

TEST_F(ABus, NoAccessLeavesItsSlot) {
  EXPECT_EQ(read(0xd000'1ffe), 0xffff'ffffU);
  write(0xd000'1ffe, 0);
  EXPECT_EQ(read(0xd000'1ffc), 0x1111'1111U);  // The configuration's last word.
}

TEST_F(ABus, CountsNotificationsThatCameHere) {
  write(0xd000'0f50, 0);
  write(0xd000'2f50, 0);
  write(0xd000'0f70, 0);
  EXPECT_EQ(bus_.notifies(), 2U);
  EXPECT_EQ(second_.kicked(0), 1U);
}

// Finds out whether it is called twice at once.
class Lonely final : public virtio::MmioDevice {
 public:
  [[nodiscard]] std::uint32_t id() const override { return 4; }
  [[nodiscard]] virtio::FeatureSet offered() const override { return {virtio::Feature::kVersion1}; }
  [[nodiscard]] std::size_t queue_count() const override { return 1; }
  [[nodiscard]] std::uint16_t queue_size_max(std::size_t) const override { return 256; }
  void read_config(std::size_t, MutableBytes) const override { visit(); }
  void attach(virtio::MmioInterrupt&) override {}
  [[nodiscard]] bool start(virtio::FeatureSet, std::span<const virtio::MmioQueueSetup>) override {
    visit();
    return true;
  }
  void reset() override { visit(); }
  [[nodiscard]] bool stop_queue(std::size_t) override {
    visit();
    return false;
  }
  [[nodiscard]] int kick_fd(std::size_t) const override { return -1; }

  mutable std::atomic<int> visits = 0;
  mutable std::atomic<bool> crowded = false;

 private:
  void visit() const {
    if (inside_.exchange(true)) crowded = true;
    ++visits;
    std::this_thread::yield();
    inside_ = false;
  }
  mutable std::atomic<bool> inside_ = false;
};

TEST_F(ABus, ProcessorsThatWriteAtOnceAreServedOneAfterAnother) {
  Lonely device;
  bus_.add(device, UniqueFd());
  const auto drive = [&] {
    const std::uint64_t at = MmioBus::address_of(2);
    for (int i = 0; i < 50; ++i) {
      for (const std::uint32_t status : {1U, 3U}) write(at + 0x70, status);
      write(at + 0x24, 1);
      write(at + 0x20, 1);
      write(at + 0x44, 1);
      for (const std::uint32_t status : {11U, 15U}) write(at + 0x70, status);
      (void)read(at + 0x100);
      write(at + 0x44, 0);
      write(at + 0x70, 0);
    }
  };
  std::vector<std::thread> processors;
  for (int i = 0; i < 4; ++i) processors.emplace_back(drive);
  for (std::thread& processor : processors) processor.join();
  EXPECT_FALSE(device.crowded);
  EXPECT_GE(device.visits, 4 * 50 * 2);
}

TEST_F(ABus, TakesAsManyDevicesAsThereAreLines) {
  std::vector<std::unique_ptr<FakeDevice>> more;
  while (!bus_.full()) {
    more.push_back(std::make_unique<FakeDevice>(0));
    bus_.add(*more.back(), UniqueFd());
  }
  EXPECT_EQ(bus_.size(), kDevicesMax);
  EXPECT_EQ(bus_.slot(kDevicesMax - 1).gsi(), 23U);
}

}  // namespace
}  // namespace sluice::box
