// One receive queue of a guest, as its front-end set it up, and the frames that wait there for
// buffers of the driver's. Whoever shares it holds mutex() for each call.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "base/time.h"
#include "link/shared/optional_mutex.h"
#include "link/vhost_user/ring_calls.h"
#include "virtio/net/receive_queue.h"
#include "wire/link/frame_batch.h"

namespace sluice::link {

// How many bytes of frames wait for buffers, over all queues of a guest. Any thread.
class HeldBytes {
 public:
  // More than the largest window of one connection, so that a burst is late and not lost.
  static constexpr std::size_t kMax = 4 * 1024 * 1024;

  [[nodiscard]] bool take(std::size_t size) {
    if (bytes_.fetch_add(size) + size <= kMax) return true;
    bytes_.fetch_sub(size);
    return false;
  }
  void give_back(std::size_t size) { bytes_.fetch_sub(size); }
  [[nodiscard]] bool none() const { return bytes_.load() == 0; }

 private:
  std::atomic<std::size_t> bytes_ = 0;
};

// How long frames wait for a queue's buffers while the guest does other things: by then TCP sends
// again (the least of Linux' timeouts), and whoever waits behind them has waited as long.
inline constexpr Duration kReceivePatience = std::chrono::milliseconds(200);

class ReceiveEnd {
 public:
  using TellFault = std::function<void(std::size_t queue, virtio::RingFault fault)>;
  using Clock = std::function<Instant()>;
  // What all queues of a device have together.
  struct Shared {
    RingCalls calls;
    TellFault tell_fault;
    Clock clock;
    HeldBytes held{};
    std::atomic<std::uint64_t> heard{0};  // Goes on when the guest sends while frames wait.
    std::atomic<bool> emptied{false};     // Of a queue, nothing waits any more.
  };

  // `queue` is its number. What is shared is not owned.
  ReceiveEnd(std::size_t queue, Shared& shared) : queue_index_(queue), shared_(&shared) {}
  ReceiveEnd(const ReceiveEnd&) = delete;
  ReceiveEnd& operator=(const ReceiveEnd&) = delete;

  [[nodiscard]] OptionalMutex& mutex() { return mutex_; }
  // Started and stopped by the device, with the session's ring beside it while it is started.
  [[nodiscard]] virtio::ReceiveQueue& queue() { return queue_; }
  [[nodiscard]] const VhostRing*& ring() { return ring_; }
  void on_started();

  // Frames [from, until) of the batch. How many of them are lost; others are the driver's, or wait.
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch, std::size_t from,
                                  std::size_t until);
  // As link.h has them. None where frames wait, which no other may overtake.
  [[nodiscard]] std::span<const MutableBytes> room_for(const virtio::ReceiveQueue::Wanted& wanted);
  // How many frames of the batch are the driver's now.
  [[nodiscard]] std::size_t write_room(const wire::FrameBatch& batch);
  void leave_room() { queue_.leave_room(); }
  // There may be buffers for what waits.
  void deliver_held();
  void drop_held();
  // The guest does not use this queue any more, but that one.
  void hand_held_to(ReceiveEnd& other);
  [[nodiscard]] bool holds() const { return !held_.empty(); }
  // Since when, or since when the guest was not heard of; kNever while none wait. From any thread.
  [[nodiscard]] Instant waits_since() const { return waits_since_.load(); }
  // Drops what has waited too long, and says how many frames that is. From there on what finds no
  // buffers is lost at once, until there are some: the driver has left this queue. A guest that is
  // not heard of at all may have been stopped, and is waited for anew.
  [[nodiscard]] std::size_t give_up(Instant now);
  // Once a batch is written.
  void call_if_due();

 private:
  // Returns the first of the frames that the driver has no buffer for.
  [[nodiscard]] std::size_t deliver(const wire::FrameBatch& batch, std::size_t from,
                                    std::size_t until);
  [[nodiscard]] std::size_t hold(const wire::FrameBatch& batch, std::size_t from,
                                 std::size_t until);
  void forget_held();
  void begin_wait(Instant now);

  OptionalMutex mutex_;
  std::size_t queue_index_;
  Shared* shared_;
  virtio::ReceiveQueue queue_;
  const VhostRing* ring_ = nullptr;
  bool told_ = false;      // That the ring is broken.
  bool call_due_ = false;  // The driver wants to be told of what was written.
  wire::FrameBatch held_;  // Whole frames, in its arena.
  std::size_t held_bytes_ = 0;
  std::size_t held_given_ = 0;  // The first so many of them are the driver's already.
  std::atomic<Instant> waits_since_{kNever};
  std::uint64_t heard_ = 0;  // When the wait began.
  bool left_ = false;        // The driver has not filled it for too long.
};

}  // namespace sluice::link
