// A split virtqueue, the device's side (virtio 1.2, 2.7): a table of descriptors, a ring of heads
// that the driver makes available, and a ring of what the device used. Virtqueue is its user.
//
//   driver area   | flags 2 | index 2 | ring: heads, 2 each          | used event 2 |
//   device area   | flags 2 | index 2 | ring: id 4, written 4, each  | available event 2 |
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "virtio/ring/chain_store.h"
#include "virtio/ring/inflight_split.h"
#include "virtio/ring/queue_config.h"

namespace sluice::virtio {

class SplitRing {
 public:
  [[nodiscard]] static std::expected<SplitRing, RingFault> make(const GuestMemory& memory,
                                                                const QueueConfig& config);

  // As Virtqueue has them.
  [[nodiscard]] std::expected<std::span<const Chain>, RingFault> take(std::size_t chains_max);
  void put_back(std::size_t count);
  void give(const Chain& chain, std::uint32_t written);
  void publish();
  [[nodiscard]] bool needs_call();
  [[nodiscard]] bool enable_kicks();
  void disable_kicks();
  [[nodiscard]] std::uint32_t base() const {
    const auto unpublished = static_cast<std::uint16_t>(next_used_ - published_used_);
    return static_cast<std::uint16_t>(next_available_ - outstanding_ - unpublished);
  }
  [[nodiscard]] std::size_t outstanding() const { return outstanding_; }
  [[nodiscard]] std::span<const Chain> held() const { return store_.chains(); }

 private:
  SplitRing(const GuestMemory& memory, const QueueConfig& config);

  [[nodiscard]] std::expected<void, RingFault> recover(const QueueConfig& config);
  [[nodiscard]] std::optional<RingFault> take_available(std::size_t chains_max);
  [[nodiscard]] std::optional<RingFault> take_one(std::uint16_t head, std::uint16_t record);
  [[nodiscard]] std::optional<RingFault> walk(std::uint16_t head);
  [[nodiscard]] std::optional<RingFault> walk_indirect(const Descriptor& descriptor);
  void log_device_area() const;

  const GuestMemory* memory_;  // Not owned.
  ChainStore store_;
  InflightSplit inflight_;
  // Heads that were in flight when a back-end ended, to be taken before any other.
  std::vector<std::uint16_t> resubmit_;
  std::size_t resubmitted_ = 0;

  std::uint8_t* descriptors_;
  std::uint8_t* driver_;
  std::uint8_t* device_;
  RingFeatures features_;
  std::uint32_t size_;
  std::uint16_t next_available_;  // Taken up to here.
  std::uint16_t seen_available_;  // The driver's index when it was read last.
  std::uint16_t next_used_;       // Given up to here,
  std::uint16_t published_used_;  // and seen by the driver up to here.
  // Where the driver was last asked whether it wants a call.
  std::optional<std::uint16_t> asked_at_;
  bool unasked_ = false;  // Since then, something was published.
  // With IN_ORDER: the entry that stands for all that was given from there on, while none of it
  // had anything to write.
  std::optional<std::uint16_t> run_begin_;
  std::size_t outstanding_ = 0;
};

}  // namespace sluice::virtio
