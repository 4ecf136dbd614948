// A file system of a machine (virtio 1.2, 5.11) behind its registers: its queues are served by
// another process (file_server.h), which has the guest's memory, the queues' kicks and the
// interrupt. We only tell it of them. All work is done in the device thread.
//
// One request queue: neither virtiofsd serves more, and Linux 6.1 uses one.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "box/device/console_device.h"
#include "box/device/device_thread.h"
#include "box/fs/file_server.h"
#include "box/kvm/guest_ram.h"
#include "sys/setup_error.h"
#include "virtio/mmio/mmio_device.h"

namespace sluice::box {

class FsDevice final : public virtio::MmioDevice {
 public:
  static constexpr std::uint32_t kDeviceId = 26;
  static constexpr std::size_t kTagMax = 36;
  // For the largest request of Linux, 256 pages, and what stands before and behind them.
  static constexpr std::uint16_t kQueueSize = 512;

  // Agrees with the server on what both can do. What is given by reference outlives the device; the
  // thread works no more when it goes. `tell` has the sentence of the server's death.
  [[nodiscard]] static std::expected<std::unique_ptr<FsDevice>, sys::SetupError> create(
      DeviceThread& thread, FileServer& server, MemoryFile memory, TellFault tell);

  [[nodiscard]] std::uint32_t id() const override { return kDeviceId; }
  [[nodiscard]] virtio::FeatureSet offered() const override { return offered_; }
  [[nodiscard]] std::size_t queue_count() const override { return kQueues; }
  [[nodiscard]] std::uint16_t queue_size_max(std::size_t) const override { return kQueueSize; }
  void read_config(std::size_t offset, MutableBytes into) const override;
  [[nodiscard]] bool status_always_used() const override { return true; }
  void attach(virtio::MmioInterrupt& interrupt) override { interrupt_ = &interrupt; }
  [[nodiscard]] bool start(virtio::FeatureSet accepted,
                           std::span<const virtio::MmioQueueSetup> queues) override;
  void reset() override;
  [[nodiscard]] int kick_fd(std::size_t queue) const override { return kicks_[queue].get(); }

 private:
  static constexpr std::size_t kQueues = 2;  // The one of high priority is first.

  FsDevice(DeviceThread& thread, FileServer& server, MemoryFile memory, TellFault tell);

  [[nodiscard]] VhostFrontEnd::Done agree();
  [[nodiscard]] std::expected<void, sys::SysError> watch();
  [[nodiscard]] VhostFrontEnd::Done start_here(virtio::FeatureSet accepted,
                                               std::span<const virtio::MmioQueueSetup> queues);
  [[nodiscard]] VhostFrontEnd::Done start_ring(std::uint32_t index,
                                               const virtio::MmioQueueSetup& setup,
                                               virtio::FeatureSet accepted);
  [[nodiscard]] VhostFrontEnd::Done stop_rings();
  // The address that the server knows it by; nothing where it is not wholly in the memory.
  [[nodiscard]] std::optional<std::uint64_t> user_address(std::uint64_t guest_address,
                                                          std::size_t size) const;
  void on_socket();
  void fail(std::string_view why);

  DeviceThread& thread_;
  FileServer& server_;
  MemoryFile memory_;  // Of up to link::kVhostTableMax ranges.
  TellFault tell_;
  virtio::FeatureSet offered_;
  bool has_protocol_ = false;
  bool gone_ = false;
  virtio::MmioInterrupt* interrupt_ = nullptr;
  std::vector<UniqueFd> kicks_;
  std::vector<std::uint32_t> running_;  // Rings that the server has.
  DeviceThread::Watch socket_watch_;
  DeviceThread::Watch log_watch_;
};

}  // namespace sluice::box
