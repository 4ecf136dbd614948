// A device behind the registers of virtio-mmio (mmio_transport.h), and how it tells its driver.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "base/bytes.h"
#include "virtio/net/features.h"

namespace sluice::virtio {

// What a driver wrote of one queue, unchecked: addresses are guest-physical.
struct MmioQueueSetup {
  std::uint16_t size = 0;
  bool ready = false;
  std::uint64_t descriptors = 0;
  std::uint64_t driver = 0;
  std::uint64_t device = 0;
};

// How a device tells its driver. Thread-safe.
class MmioInterrupt {
 public:
  virtual void used() = 0;            // Sets bit 0 of the interrupt status, then raises.
  virtual void config_changed() = 0;  // Bit 1, and another config generation.
  // Status bit 64, and as config_changed(): the device works no more until it is reset.
  virtual void needs_reset() = 0;
  // The eventfd that raises: for another process. Its device's status always shows bit 0.
  [[nodiscard]] virtual int fd() const = 0;

 protected:
  ~MmioInterrupt() = default;
};

// Calls but kick_fd() come from threads of vCPUs, one at a time for each device.
class MmioDevice {
 public:
  virtual ~MmioDevice() = default;
  // 1 net, 3 console, 4 rng, 26 file system (virtio 1.2, 5).
  [[nodiscard]] virtual std::uint32_t id() const = 0;
  [[nodiscard]] virtual FeatureSet offered() const = 0;  // VERSION_1 among them.
  // Whether it can do with these, of those that it offered; otherwise FEATURES_OK stays unset.
  [[nodiscard]] virtual std::expected<void, std::string> check(FeatureSet /*accepted*/) const {
    return {};
  }
  [[nodiscard]] virtual std::size_t queue_count() const = 0;
  [[nodiscard]] virtual std::uint16_t queue_size_max(std::size_t queue) const = 0;
  // Any offset and size; what is beyond the end reads as zeros.
  virtual void read_config(std::size_t offset, MutableBytes into) const = 0;
  virtual void write_config(std::size_t /*offset*/, ByteView /*bytes*/) {}
  // Another process raises its interrupt, so that the status cannot tell whether it did: it shows
  // kUsed all the time (InterruptStatus::keep_used()).
  [[nodiscard]] virtual bool status_always_used() const { return false; }
  // Once, before anything else. The interrupt outlives the device's use.
  virtual void attach(MmioInterrupt& interrupt) = 0;
  // DRIVER_OK; never again before reset(). False: the device needs a reset.
  [[nodiscard]] virtual bool start(FeatureSet accepted, std::span<const MmioQueueSetup> queues) = 0;
  // The driver wrote 0 to the status. When it returns nothing of the guest's memory is touched any
  // more, and nothing stale will be. It may not have been started.
  virtual void reset() = 0;
  // The driver takes one queue back, and may reset the device before it gives it another (virtio
  // 1.2, 4.2.2.2). When it returns nothing of that queue is touched any more. False: the device has
  // no way to stop one alone, and goes on with all.
  [[nodiscard]] virtual bool stop_queue(std::size_t /*queue*/) { return false; }
  // An eventfd for each queue, valid for the device's life: readable when the driver notified it.
  // Bound by KVM_IOEVENTFD, or written by the bus.
  [[nodiscard]] virtual int kick_fd(std::size_t queue) const = 0;
};

}  // namespace sluice::virtio
