// A packed virtqueue, the device's side (virtio 1.2, 2.8): one ring of descriptors, in which the
// device writes over what the driver made available; two flags and a wrap counter of each side say
// whose a descriptor is. Virtqueue is its user.
//
//   driver area, device area   | offset 15 bits, wrap 1 bit | flags 2 |   (2.8.14)
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "virtio/ring/chain_store.h"
#include "virtio/ring/inflight_packed.h"
#include "virtio/ring/packed_position.h"
#include "virtio/ring/queue_config.h"

namespace sluice::virtio {

class PackedRing {
 public:
  [[nodiscard]] static std::expected<PackedRing, RingFault> make(const GuestMemory& memory,
                                                                 const QueueConfig& config);

  // As Virtqueue has them.
  [[nodiscard]] std::expected<std::span<const Chain>, RingFault> take(std::size_t chains_max);
  void put_back(std::size_t count);
  void give(const Chain& chain, std::uint32_t written);
  void publish();
  [[nodiscard]] bool needs_call();
  [[nodiscard]] bool enable_kicks();
  void disable_kicks();
  [[nodiscard]] std::uint32_t base() const;
  [[nodiscard]] std::size_t outstanding() const { return outstanding_; }
  [[nodiscard]] std::span<const Chain> held() const { return store_.chains(); }

 private:
  // A used descriptor that is not written: the first of a batch is, last of all.
  struct Used {
    PackedPosition at;
    std::uint64_t rest = 0;
  };

  PackedRing(const GuestMemory& memory, const QueueConfig& config);

  [[nodiscard]] std::expected<void, RingFault> recover(const QueueConfig& config);
  // False: nothing is available.
  [[nodiscard]] std::expected<bool, RingFault> take_one();
  [[nodiscard]] std::optional<RingFault> take_again(std::uint16_t record);
  [[nodiscard]] std::optional<RingFault> walk_indirect(const Descriptor& descriptor);
  [[nodiscard]] std::uint8_t* slot(std::uint16_t index) const {
    return descriptors_ + Descriptor::kSize * index;
  }
  // The second half of a descriptor, at the place where the next chain begins.
  [[nodiscard]] bool is_available(std::uint64_t rest) const;
  void write(const Used& used, std::memory_order order) const;
  void log_device_area() const;

  const GuestMemory* memory_;  // Not owned.
  ChainStore store_;
  InflightPacked inflight_;
  // Chains that were in flight when a back-end ended, to be taken before any other.
  std::vector<std::uint16_t> resubmit_;
  std::size_t resubmitted_ = 0;

  std::uint8_t* descriptors_;
  std::uint8_t* driver_;
  std::uint8_t* device_;
  RingFeatures features_;
  std::uint32_t size_;
  PackedPosition next_available_;  // Taken up to here.
  PackedPosition next_used_;       // Given up to here,
  PackedPosition published_used_;  // and seen by the driver up to here.
  std::optional<Used> first_;      // Of what was given and not published.
  // With IN_ORDER: the descriptor that stands for all that was given from there on, while none of
  // it had anything to write.
  std::optional<PackedPosition> run_begin_;
  // Where the driver was last asked whether it wants a call.
  std::optional<std::uint16_t> asked_at_;
  bool unasked_ = false;                 // Since then, something was published.
  std::uint32_t slots_out_ = 0;          // Of chains that are taken and not given back,
  std::uint32_t slots_unpublished_ = 0;  // and that are given and not published.
  std::size_t outstanding_ = 0;
};

}  // namespace sluice::virtio
