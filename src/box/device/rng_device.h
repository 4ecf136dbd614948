// The entropy device of a machine (virtio/rng/entropy_queue.h) behind its registers: the host's
// random bytes for the guest. All work is done in the device thread.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>

#include "base/unique_fd.h"
#include "box/device/console_device.h"
#include "box/device/device_thread.h"
#include "sys/sys_error.h"
#include "virtio/guest_memory.h"
#include "virtio/mmio/mmio_device.h"
#include "virtio/rng/entropy_queue.h"

namespace sluice::box {

// Of getrandom(2).
[[nodiscard]] std::size_t kernel_entropy(MutableBytes bytes);

class RngDevice final : public virtio::MmioDevice {
 public:
  // What is given by reference outlives the device; the thread works no more when it goes.
  [[nodiscard]] static std::expected<std::unique_ptr<RngDevice>, sys::SysError> create(
      DeviceThread& thread, const virtio::GuestMemory& memory, virtio::EntropySource source,
      TellFault tell);

  [[nodiscard]] std::uint32_t id() const override { return virtio::EntropyQueue::kDeviceId; }
  [[nodiscard]] virtio::FeatureSet offered() const override {
    return {virtio::Feature::kVersion1, virtio::Feature::kEventIdx, virtio::Feature::kIndirectDesc};
  }
  [[nodiscard]] std::size_t queue_count() const override { return 1; }
  [[nodiscard]] std::uint16_t queue_size_max(std::size_t) const override {
    return virtio::EntropyQueue::kQueueSize;
  }
  // It has no configuration.
  void read_config(std::size_t offset, MutableBytes into) const override;
  void attach(virtio::MmioInterrupt& interrupt) override { interrupt_ = &interrupt; }
  [[nodiscard]] bool start(virtio::FeatureSet accepted,
                           std::span<const virtio::MmioQueueSetup> queues) override;
  void reset() override;
  [[nodiscard]] int kick_fd(std::size_t) const override { return kick_.get(); }

 private:
  RngDevice(DeviceThread& thread, const virtio::GuestMemory& memory, virtio::EntropySource source,
            TellFault tell);

  [[nodiscard]] bool start_here(virtio::FeatureSet accepted, const virtio::MmioQueueSetup& setup);
  void serve();

  DeviceThread& thread_;
  const virtio::GuestMemory& memory_;
  virtio::EntropySource source_;
  TellFault tell_;
  virtio::EntropyQueue queue_;
  virtio::MmioInterrupt* interrupt_ = nullptr;
  UniqueFd kick_;
  DeviceThread::Watch watch_;
  bool told_ = false;  // Of a fault, since the start.
};

}  // namespace sluice::box
