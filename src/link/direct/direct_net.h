// The network device of a machine whose monitor is this process (sluice box): its registers are the
// monitor's, its queues belong to our workers from the moment at which the driver starts it to its
// reset. Nothing lies between device and engine: a kick is an eventfd that the worker watches, a
// call is a write to another.
//
// Starting and resetting are messages to the first worker, with an answer that the caller waits
// for: when reset() returns no worker touches the guest's memory any more, and what was under way
// is gone with its rings.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "link/vhost_user/net_back_end.h"
#include "sys/kernel.h"
#include "virtio/mmio/mmio_device.h"

namespace sluice::link {

struct DirectNetPlan {
  virtio::NetDevice device;
  std::size_t workers = 1;  // At most; no more than pairs of queues.
  // The guest's memory, by its guest-physical addresses: user_address is the same, or unused.
  std::vector<VhostRegion> regions{};
  UniqueFd memory_file{};  // In which they lie.
  NetQueues::Tell tell;    // What whoever runs the guest should know, for a log; any thread.
};

class DirectNet final : public NetBackEnd, public virtio::MmioDevice {
 public:
  static constexpr std::uint16_t kQueueSizeMax = 1024;

  // The kernel is not owned.
  [[nodiscard]] static std::expected<std::unique_ptr<DirectNet>, sys::SysError> create(
      sys::Kernel& kernel, DirectNetPlan plan);
  ~DirectNet() override = default;

  // The links are not read any more: nobody waits for an answer, now or later. From any thread.
  void shut_down();

  [[nodiscard]] std::uint32_t id() const override { return kNetId; }
  [[nodiscard]] virtio::FeatureSet offered() const override;
  [[nodiscard]] std::expected<void, std::string> check(virtio::FeatureSet accepted) const override;
  [[nodiscard]] std::size_t queue_count() const override { return rings_.size(); }
  [[nodiscard]] std::uint16_t queue_size_max(std::size_t) const override { return kQueueSizeMax; }
  void read_config(std::size_t offset, MutableBytes into) const override;
  [[nodiscard]] bool status_always_used() const override { return true; }
  void attach(virtio::MmioInterrupt& interrupt) override { interrupt_ = &interrupt; }
  [[nodiscard]] bool start(virtio::FeatureSet accepted,
                           std::span<const virtio::MmioQueueSetup> queues) override;
  void reset() override;
  [[nodiscard]] bool stop_queue(std::size_t queue) override;
  [[nodiscard]] int kick_fd(std::size_t queue) const override { return kicks_[queue].get(); }

 private:
  static constexpr std::uint32_t kNetId = 1;  // Virtio 1.2, 5.1.1.

  // What a monitor's thread asks of the first worker; it waits meanwhile.
  struct Request {
    bool starts = false;                 // Otherwise it is a reset,
    std::optional<std::size_t> stops{};  // or one queue is to be let go of.
    virtio::FeatureSet accepted{};
    std::span<const virtio::MmioQueueSetup> queues{};
    bool done = false;
    bool answer = false;
  };

  DirectNet(sys::Kernel& kernel, std::deque<Seat> seats, DirectNetPlan plan,
            std::vector<UniqueFd> kicks);

  [[nodiscard]] bool ask(Request request);
  void on_event(std::uint64_t what) override;
  void on_broken() override;
  void on_ring_broken() override;
  // In the first worker's turn, with all queues to itself.
  [[nodiscard]] bool start_rings(const Request& request);
  [[nodiscard]] bool start_ring(std::size_t index, const Request& request);
  void stop_ring(std::size_t index);
  void stop_rings();

  DirectNetPlan plan_;
  std::array<std::uint8_t, virtio::kNetConfigSize> config_;
  std::vector<UniqueFd> kicks_;                 // An eventfd for each queue.
  std::deque<VhostRing> rings_;                 // As the driver set them up.
  virtio::MmioInterrupt* interrupt_ = nullptr;  // Not owned.

  std::mutex mutex_;
  std::condition_variable answered_;
  Request* request_ = nullptr;  // Of the one that waits.
  bool shut_down_ = false;
};

}  // namespace sluice::link
