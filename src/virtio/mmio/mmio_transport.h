// The registers of a virtio-mmio device, version 2 (virtio 1.2, 4.2): what a driver reads and
// writes on its way to a device that works, and back. A driver may write anything at any time;
// what is out of turn changes nothing. Not thread-safe; QueueNotify is the bus's.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "virtio/mmio/interrupt_status.h"
#include "virtio/mmio/mmio_device.h"

namespace sluice::virtio {

class MmioTransport {
 public:
  // Where the device's own configuration begins.
  static constexpr std::uint64_t kConfig = 0x100;

  // Both outlive it; the device is attached to the interrupt that sets `interrupt`.
  MmioTransport(MmioDevice& device, InterruptStatus& interrupt)
      : device_(device), interrupt_(interrupt), queues_(device.queue_count()) {}

  // Registers are accessed by 4 aligned bytes: others read as zeros and write nothing. The
  // configuration is accessed as the driver likes.
  void read(std::uint64_t offset, MutableBytes into) const;
  void write(std::uint64_t offset, ByteView bytes);

 private:
  [[nodiscard]] std::uint32_t read_register(std::uint64_t offset) const;
  [[nodiscard]] std::uint32_t status() const;
  [[nodiscard]] const MmioQueueSetup* selected() const;
  void write_register(std::uint64_t offset, std::uint32_t value);
  void write_queue(std::uint64_t offset, std::uint32_t value);
  void take_back(MmioQueueSetup& queue);
  void accept_features(std::uint32_t value);
  void set_status(std::uint32_t value);
  void reset();
  [[nodiscard]] bool features_fit() const;

  MmioDevice& device_;
  InterruptStatus& interrupt_;
  std::vector<MmioQueueSetup> queues_;
  std::uint64_t accepted_ = 0;
  std::uint32_t status_ = 0;
  std::uint32_t offered_half_ = 0;
  std::uint32_t accepted_half_ = 0;
  std::uint32_t queue_ = 0;
};

}  // namespace sluice::virtio
