// What a device of a machine has around it: an interrupt that is counted, and a driver for each of
// its queues, in one guest's memory.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/unique_fd.h"
#include "box/device/device_thread.h"
#include "unit/virtio/mock_drivers.h"
#include "virtio/mmio/mmio_device.h"

namespace sluice::box::test {

class MockInterrupt final : public virtio::MmioInterrupt {
 public:
  void used() override { ++used_count; }
  void config_changed() override { ++config_count; }
  void needs_reset() override { ++reset_count; }
  [[nodiscard]] int fd() const override { return fd_.get(); }

  std::atomic<int> used_count = 0;
  std::atomic<int> config_count = 0;
  std::atomic<int> reset_count = 0;

 private:
  UniqueFd fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

class MockQueues {
 public:
  // Each has room for `data_bytes` in buffers.
  MockQueues(std::size_t count, std::size_t size, std::size_t data_bytes) {
    for (std::size_t i = 0; i < count; ++i) {
      drivers_.push_back(virtio::test::make_mock_driver(
          {.size = size, .data_bytes = data_bytes, .guest_base = (i + 1) << 28}));
      const bool added = memory_
                             .add({.guest_address = (i + 1) << 28,
                                   .user_address = (i + 1) << 28,
                                   .bytes = drivers_[i]->bytes()})
                             .has_value();
      if (!added) unreachable("the memory of a mock's queue");
    }
  }

  [[nodiscard]] virtio::test::MockDriver& operator[](std::size_t queue) { return *drivers_[queue]; }
  [[nodiscard]] const virtio::GuestMemory& memory() const { return memory_; }
  // As a driver writes it into the registers.
  [[nodiscard]] std::vector<virtio::MmioQueueSetup> setups() {
    std::vector<virtio::MmioQueueSetup> setups;
    for (const auto& driver : drivers_) {
      const auto address = [&](const std::uint8_t* at) {
        return driver->options().guest_base +
               static_cast<std::uint64_t>(at - driver->bytes().data());
      };
      setups.push_back({.size = static_cast<std::uint16_t>(driver->options().size),
                        .ready = true,
                        .descriptors = address(driver->descriptor(0)),
                        .driver = address(driver->driver_area()),
                        .device = address(driver->device_area())});
    }
    return setups;
  }

 private:
  std::vector<std::unique_ptr<virtio::test::MockDriver>> drivers_;
  virtio::GuestMemory memory_;
};

// As a driver kicks a device.
inline void kick(const virtio::MmioDevice& device, std::size_t queue) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(device.kick_fd(queue), &one, sizeof one);
}

// All that is ready, and what comes of it, without a thread.
inline void run(DeviceThread& thread) {
  for (int i = 0; i < 50; ++i) thread.turn(Instant{});
}

}  // namespace sluice::box::test
