// One virtio-mmio device on the bus: its registers, its interrupt, and the notifications of its
// queues where KVM does not take them itself.
#pragma once

#include <cstdint>
#include <expected>
#include <mutex>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "sys/setup_error.h"
#include "virtio/mmio/interrupt_status.h"
#include "virtio/mmio/mmio_device.h"
#include "virtio/mmio/mmio_transport.h"

namespace sluice::box {

// Its interrupt's methods are safe from any thread, and so are read() and write(), which call the
// device one at a time.
class MmioSlot final : public virtio::MmioInterrupt {
 public:
  // The register that a queue's number is written to when it was filled (virtio 1.2, 4.2.2).
  static constexpr std::uint64_t kQueueNotify = 0x50;

  // `gsi` is the interrupt's line. Attaches the device, which is there whenever a method is
  // called.
  MmioSlot(virtio::MmioDevice& device, UniqueFd interrupt, unsigned gsi);

  void used() override;
  void config_changed() override;
  void needs_reset() override;
  [[nodiscard]] int fd() const override { return interrupt_.get(); }

  void read(std::uint64_t offset, MutableBytes into);
  // True: it was a queue's notification.
  [[nodiscard]] bool write(std::uint64_t offset, ByteView bytes);

  [[nodiscard]] unsigned gsi() const { return gsi_; }
  [[nodiscard]] const virtio::MmioDevice& device() const { return device_; }

 private:
  void raise();
  void kick(ByteView bytes);

  virtio::MmioDevice& device_;
  UniqueFd interrupt_;
  unsigned gsi_;
  virtio::InterruptStatus status_;
  std::mutex lock_;  // Of the transport.
  virtio::MmioTransport transport_;
};

}  // namespace sluice::box
