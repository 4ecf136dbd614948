// The console of a machine (virtio/console/console.h) behind its registers: kicks, interrupts, and
// a user who is at the other end of its ports. All work is done in the device thread.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "box/device/device_thread.h"
#include "sys/sys_error.h"
#include "virtio/console/console.h"
#include "virtio/guest_memory.h"
#include "virtio/mmio/mmio_device.h"

namespace sluice::box {

// At the other end of a console's ports. Called in the device thread, never within a call to the
// console.
class PortUser {
 public:
  // The guest opened or closed the port, wrote, or made room: look at all of it.
  virtual void on_port(std::size_t port) = 0;

 protected:
  ~PortUser() = default;
};

// Whom a device tells, once, why it works no more: a sentence. Called in the device thread.
using TellFault = std::function<void(std::string_view)>;

class ConsoleDevice final : public virtio::MmioDevice {
 public:
  // What is given by reference outlives the device; the thread works no more when it goes.
  [[nodiscard]] static std::expected<std::unique_ptr<ConsoleDevice>, sys::SysError> create(
      DeviceThread& thread, const virtio::GuestMemory& memory,
      std::span<const std::string_view> ports, TellFault tell);

  // Before anything else; not owned.
  void set_user(PortUser& user) { user_ = &user; }

  // For the user, in the device thread. A port that the guest has not open has no room; what was
  // written before it was closed still waits. Spans are valid until take() or fill(), one of which
  // must follow.
  [[nodiscard]] bool is_open(std::size_t port) const { return console_.guest_open(port); }
  void set_host_open(std::size_t port, bool open);
  [[nodiscard]] std::span<const ByteView> waiting(std::size_t port);
  void take(std::size_t port, std::size_t bytes);
  [[nodiscard]] std::span<const MutableBytes> room(std::size_t port);
  void fill(std::size_t port, std::size_t bytes);

  [[nodiscard]] std::uint32_t id() const override { return virtio::Console::kDeviceId; }
  [[nodiscard]] virtio::FeatureSet offered() const override { return virtio::Console::offered(); }
  [[nodiscard]] std::expected<void, std::string> check(virtio::FeatureSet accepted) const override;
  [[nodiscard]] std::size_t queue_count() const override { return console_.queue_count(); }
  [[nodiscard]] std::uint16_t queue_size_max(std::size_t) const override {
    return virtio::Console::kQueueSize;
  }
  void read_config(std::size_t offset, MutableBytes into) const override {
    console_.read_config(offset, into);
  }
  void attach(virtio::MmioInterrupt& interrupt) override { interrupt_ = &interrupt; }
  [[nodiscard]] bool start(virtio::FeatureSet accepted,
                           std::span<const virtio::MmioQueueSetup> queues) override;
  void reset() override;
  [[nodiscard]] int kick_fd(std::size_t queue) const override { return kicks_[queue].get(); }

 private:
  ConsoleDevice(DeviceThread& thread, const virtio::GuestMemory& memory,
                std::span<const std::string_view> ports, TellFault tell);

  [[nodiscard]] bool start_here(virtio::FeatureSet accepted,
                                std::span<const virtio::MmioQueueSetup> queues);
  void reset_here();
  void on_kick(std::size_t queue);
  void serve_control();
  void look_at_ports();
  void call(bool wanted) {
    if (wanted) interrupt_->used();
  }
  void on_fault(virtio::RingFault fault);

  DeviceThread& thread_;
  const virtio::GuestMemory& memory_;
  virtio::Console console_;
  TellFault tell_;
  PortUser* user_ = nullptr;
  virtio::MmioInterrupt* interrupt_ = nullptr;
  bool told_ = false;  // Of a fault, since the start.
  std::vector<UniqueFd> kicks_;
  std::vector<DeviceThread::Watch> watches_;
};

}  // namespace sluice::box
