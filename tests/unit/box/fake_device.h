// A virtio device that remembers what its driver did.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/unique_fd.h"
#include "virtio/mmio/mmio_device.h"

namespace sluice::box {

class FakeDevice final : public virtio::MmioDevice {
 public:
  explicit FakeDevice(std::size_t queues) {
    for (std::size_t i = 0; i < queues; ++i) {
      kicks_.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    }
  }

  [[nodiscard]] std::uint32_t id() const override { return 4; }
  [[nodiscard]] virtio::FeatureSet offered() const override { return {virtio::Feature::kVersion1}; }
  [[nodiscard]] std::size_t queue_count() const override { return kicks_.size(); }
  [[nodiscard]] std::uint16_t queue_size_max(std::size_t) const override { return 256; }
  void read_config(std::size_t, MutableBytes into) const override {
    std::ranges::fill(into, std::uint8_t{0x11});
  }
  void attach(virtio::MmioInterrupt& interrupt) override { interrupt_ = &interrupt; }
  [[nodiscard]] bool start(virtio::FeatureSet, std::span<const virtio::MmioQueueSetup>) override {
    ++starts;
    return true;
  }
  void reset() override { ++resets; }
  [[nodiscard]] int kick_fd(std::size_t queue) const override { return kicks_[queue].get(); }

  [[nodiscard]] virtio::MmioInterrupt& interrupt() const { return *interrupt_; }
  // How often a queue was notified since the last question.
  [[nodiscard]] std::uint64_t kicked(std::size_t queue) const {
    std::uint64_t count = 0;
    return ::read(kick_fd(queue), &count, sizeof count) == sizeof count ? count : 0;
  }

  int starts = 0;
  int resets = 0;

 private:
  std::vector<UniqueFd> kicks_;
  virtio::MmioInterrupt* interrupt_ = nullptr;
};

}  // namespace sluice::box
