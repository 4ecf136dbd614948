// One virtio-mmio device on the bus: its registers, its interrupt, and the notifications of its
// queues where KVM does not take them itself.
//
// The registers are kept as an image, a page that the guest may have mapped for reading: a read of
// the interrupt status, as of any register, then costs it no exit. Writes always come here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "virtio/mmio/interrupt_status.h"
#include "virtio/mmio/mmio_device.h"
#include "virtio/mmio/mmio_transport.h"

namespace sluice::box {

// The last kRegisterBytes of it are registers; the rest is zero, and nobody's.
struct alignas(4096) RegisterPage {
  std::array<std::uint32_t, 1024> words{};
};

// Its interrupt's methods are safe from any thread, and so are read() and write(), which call the
// device one at a time.
class MmioSlot final : public virtio::MmioInterrupt {
 public:
  // The register that a queue's number is written to when it was filled (virtio 1.2, 4.2.2).
  static constexpr std::uint64_t kQueueNotify = 0x50;
  static constexpr std::uint64_t kInterruptAck = 0x64;
  static constexpr std::size_t kRegisterBytes = virtio::MmioTransport::kConfig;

  // `gsi` is the interrupt's line. Attaches the device, which is there whenever a method is
  // called.
  MmioSlot(virtio::MmioDevice& device, UniqueFd interrupt, unsigned gsi);

  void used() override;
  void config_changed() override;
  void needs_reset() override;
  [[nodiscard]] int fd() const override { return interrupt_.get(); }

  // What the guest may read. From keep_used() on the page shows kUsed all the time, so that its
  // acknowledgement means nothing; before the guest runs.
  [[nodiscard]] MutableBytes page() const;
  void keep_used() { status_.keep_used(); }

  void read(std::uint64_t offset, MutableBytes into);
  // True: it was a queue's notification.
  [[nodiscard]] bool write(std::uint64_t offset, ByteView bytes);

  [[nodiscard]] unsigned gsi() const { return gsi_; }
  [[nodiscard]] const virtio::MmioDevice& device() const { return device_; }

 private:
  void raise();
  void kick(ByteView bytes);
  void show_registers();
  [[nodiscard]] std::uint32_t& word(std::uint64_t offset) const {
    return page_->words[(sizeof(RegisterPage) - kRegisterBytes + offset) / sizeof(std::uint32_t)];
  }

  virtio::MmioDevice& device_;
  UniqueFd interrupt_;
  unsigned gsi_;
  std::unique_ptr<RegisterPage> page_ = std::make_unique<RegisterPage>();
  virtio::InterruptStatus status_;
  std::mutex lock_;  // Of the transport, and of what only it changes in the page.
  virtio::MmioTransport transport_;
};

}  // namespace sluice::box
