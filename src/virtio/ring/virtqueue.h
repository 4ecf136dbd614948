// The device's side of one virtqueue, split or packed (virtio 1.2, 2.7 and 2.8). Bytes are all it
// knows: kicks and calls are its user's.
//
//   GuestMemory memory;
//   if (!memory.add({.guest_address = ram_at, .user_address = user, .bytes = mapped})) return;
//   QueueConfig config{.size = 256, .features = {.event_index = true}};
//   const RingSizes sizes = ring_sizes(config.size, config.features);
//   config.descriptors = memory.find_user(descriptors_at, sizes.descriptors);
//   config.driver = memory.find_user(driver_at, sizes.driver);
//   config.device = memory.find_user(device_at, sizes.device);
//   Virtqueue queue;
//   if (!queue.start(memory, config)) return;  // The error says what is wrong with them.
//   do {
//     const auto taken = queue.take(32);
//     if (!taken) return;  // text_of(taken.error()) is for the log.
//     for (const Chain& chain : *taken) {
//       for (const ByteView piece : chain.readable) use(piece);
//       queue.give(chain, 0);
//     }
//     queue.publish();
//     if (queue.needs_call()) call_the_driver();
//   } while (queue.enable_kicks());  // Nothing came meanwhile: the next kick tells.
//
// A guest may write into rings and tables at any time, also while they are read: each byte of a
// descriptor is read once, into a local, and checked there. A driver's mistake is a RingFault, and
// breaks the queue until start(). One thread; what is shared with the guest's processors is read
// and written in the order that the specification asks for, on any machine.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <variant>

#include "base/bytes.h"
#include "virtio/guest_memory.h"
#include "virtio/ring/chain.h"
#include "virtio/ring/packed_ring.h"
#include "virtio/ring/queue_config.h"
#include "virtio/ring/ring_fault.h"
#include "virtio/ring/split_ring.h"

namespace sluice::virtio {

class Virtqueue {
 public:
  // The memory is not owned and outlives the queue's use; rings must stay mapped until stop().
  // Nothing of an earlier start is left. Chains that were in flight by config.inflight are taken
  // first, in the order in which they once were.
  [[nodiscard]] std::expected<void, RingFault> start(const GuestMemory& memory,
                                                     const QueueConfig& config);
  // Forgets the rings, and all that was taken from them. Ask for base() before.
  void stop() { ring_.emplace<std::monostate>(); }
  [[nodiscard]] bool started() const { return !std::holds_alternative<std::monostate>(ring_); }

  // Up to `chains_max` more; fewer where the driver has fewer, or where the pieces of a burst have
  // no room. A fault behind good chains is told by the next call. The span is valid until
  // publish(), put_back() or stop().
  [[nodiscard]] std::expected<std::span<const Chain>, RingFault> take(std::size_t chains_max);
  // All that were taken since publish() and not put back.
  [[nodiscard]] std::span<const Chain> held() const;
  // The newest `count` chains were not used: they come again with the next take(). None of them
  // was given back.
  void put_back(std::size_t count);
  // The driver may have it back, of whose writable bytes the first `written` were written. With
  // IN_ORDER in the order in which they were taken. Seen by the driver after publish().
  void give(const Chain& chain, std::uint32_t written);
  // Lets the driver see all that was given since, at once. Pieces of chains that are kept beyond
  // it must not be used.
  void publish();
  // Whether the driver wants to be told of what was published since this was last asked.
  [[nodiscard]] bool needs_call();

  // The driver is to kick for what it makes available from here on. True when something was made
  // available that was not taken: then look again, no kick may come for it.
  [[nodiscard]] bool enable_kicks();
  // Saves the driver kicks while we look at the queue by ourselves. Some may come all the same.
  void disable_kicks();

  // Where the next device goes on, as VHOST_USER_GET_VRING_BASE has it (QueueConfig::base): with
  // what was not given back and published, if chains are given back in order. Zero when stopped.
  [[nodiscard]] std::uint32_t base() const;
  // Chains that are taken and not given back.
  [[nodiscard]] std::size_t outstanding() const;
  [[nodiscard]] std::optional<RingFault> fault() const { return fault_; }
  // For a chain that a device cannot use. take() tells it from here on.
  void break_with(RingFault fault) { fault_ = fault; }

 private:
  std::variant<std::monostate, SplitRing, PackedRing> ring_;
  std::optional<RingFault> fault_;
};

}  // namespace sluice::virtio
