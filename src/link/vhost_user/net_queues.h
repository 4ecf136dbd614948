// The network device that a front-end sees: its memory, its queues, and frames in and out of them.
// It is the VhostDevice of a session, and does what links do with frames. Kicks are watched by
// its owner; calls are made here, one write for each queue and burst at most, and none where the
// driver does not want to be told.
//
// A guest that breaks a ring has broken that ring, and is told of no more by it; a front-end that
// takes away memory has ended its session (broken()).
//
// Several workers, each in a thread of its own, have a share each: pair q of n workers belongs to
// worker q % n, who alone reads what is transmitted there and is woken for its kicks. Frames to the
// guest go by the pair by which it sent their flow last, whoever has them. What workers share is
// locked where they meet. A share is, from read() to release(): memory and the frames that are
// borrowed from it stay. A receive queue is while a batch is written there. Exclusive has all of
// them, in this order: for what a session does, and for the control queue.
//
// With one worker nothing is locked.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "link/link.h"
#include "link/shared/optional_mutex.h"
#include "link/vhost_user/mapped_memory.h"
#include "link/vhost_user/receive_end.h"
#include "link/vhost_user/session.h"
#include "sys/kernel.h"
#include "virtio/net/control_queue.h"
#include "virtio/net/net_device.h"
#include "virtio/net/receive_steering.h"
#include "virtio/net/transmit_queue.h"
#include "wire/link/frame_batch.h"

namespace sluice::link {

class NetQueues final : public VhostDevice {
 public:
  // What whoever runs the guest should know, for a log.
  using Tell = std::function<void(const std::string&)>;
  // Its owner, for each worker.
  class Kicks {
   public:
    // This descriptor is to be watched for kicks, each edge once.
    [[nodiscard]] virtual bool watch(std::size_t worker, std::size_t ring, int fd) = 0;
    virtual void unwatch(std::size_t worker, int fd) = 0;
    // Its link is to be read, whatever its descriptors say. From any thread.
    virtual void wake(std::size_t worker) = 0;
    // The guest broke one of its rings, which was told. From any thread.
    virtual void broke() = 0;

   protected:
    ~Kicks() = default;
  };
  struct Setup {
    virtio::NetDevice device;
    std::size_t workers = 1;  // Not more than pairs.
    Tell tell;
  };

  // Neither the kernel nor `kicks` is owned.
  NetQueues(sys::Kernel& kernel, Kicks& kicks, Setup setup);

  // While it is there, no share reads or writes. For the first worker, who has released its own;
  // calls of a VhostDevice and forget() are made under it.
  class Exclusive {
   public:
    explicit Exclusive(NetQueues& queues) : queues_(queues) { queues_.lock_all(); }
    ~Exclusive() { queues_.unlock_all(); }
    Exclusive(const Exclusive&) = delete;
    Exclusive& operator=(const Exclusive&) = delete;

   private:
    NetQueues& queues_;
  };

  [[nodiscard]] VhostDone set_table(std::span<const VhostRegion> regions,
                                    std::vector<UniqueFd> files) override {
    return memory_.set_table(regions, files);
  }
  [[nodiscard]] VhostDone add_region(const VhostRegion& region, UniqueFd file) override {
    return memory_.add(region, file);
  }
  [[nodiscard]] VhostDone remove_region(const VhostRegion& region) override {
    return memory_.remove(region);
  }
  [[nodiscard]] VhostDone set_log(const VhostLog& log, UniqueFd file) override {
    return memory_.set_log(log, file);
  }
  void set_features(std::uint64_t features) override;
  [[nodiscard]] std::expected<UniqueFd, VhostRefusal> make_inflight(
      VhostInflight& inflight) override {
    return MappedMemory::make_inflight(inflight);
  }
  [[nodiscard]] VhostDone set_inflight(const VhostInflight& inflight, UniqueFd file) override {
    return memory_.set_inflight(inflight, file);
  }
  void forget_inflight() override { memory_.forget_inflight(); }
  void clear_inflight(std::size_t index) override;
  [[nodiscard]] VhostDone start_ring(std::size_t index, const VhostRing& ring) override;
  [[nodiscard]] std::uint32_t stop_ring(std::size_t index) override;
  void ring_changed(std::size_t index) override;
  // The session is over, whose rings have been stopped: nothing of it is left.
  void forget();

  // The rest is each worker's, in its own thread.

  // The driver kicked this ring, which is the worker's.
  void on_kick(std::size_t worker, std::size_t ring);
  struct Seen {
    bool more = false;  // Read again without a kick.
    wire::LinkFeatures features{};
  };
  // Adds frames of its transmit queues to the burst, in turns. What the driver adds behind it is
  // told by a kick, or `more` says to look again without one. Batches that are written behind it
  // are to keep to these features.
  [[nodiscard]] Seen read(std::size_t worker, virtio::FrameBurst& burst);
  // As link.h has it, of frames that were read and not released.
  [[nodiscard]] bool is_intact(std::size_t worker) const {
    return !shares_[worker].entered || !memory_.broken();
  }
  // The frames that were read are done with.
  void release(std::size_t worker);
  // How many frames are lost; others may wait here for buffers.
  [[nodiscard]] std::size_t write(std::size_t worker, const wire::FrameBatch& batch);
  // As link.h has them (net_queues_room.cc). The receive queue is the worker's meanwhile.
  [[nodiscard]] std::span<const MutableBytes> room_for(std::size_t worker,
                                                       const Link::RoomWanted& wanted);
  void leave_room(std::size_t worker, bool is_gone);
  // Nothing waits for buffers. Otherwise a kick comes for them, and who asked is woken; or it asks
  // again at room_at(), so that a queue that its driver has left holds up no other for ever.
  [[nodiscard]] bool has_room(std::size_t worker);
  [[nodiscard]] Instant room_at() const;
  // Something of the guest's memory was gone; the first worker is woken for it.
  [[nodiscard]] bool broken() const { return broken_.load(); }

 private:
  struct Pair {
    Pair(std::size_t number, ReceiveEnd::Shared& shared)
        : receive(virtio::receive_queue_index(number), shared) {}
    ReceiveEnd receive;
    virtio::TransmitQueue transmit;
    const VhostRing* transmit_ring = nullptr;  // While it is started. The session's.
    bool looks = false;                        // At it, without being kicked for it.
    bool transmit_told = false;                // That the ring is broken.
  };
  // What one worker has.
  struct Share {
    OptionalMutex mutex;
    bool entered = false;
    std::size_t turn = 0;     // Of its pairs, that is read first.
    std::uint32_t epoch = 0;  // Of the features that it knows.
    // The pair, whose receive queue is locked, and the pieces that it gave room in.
    std::optional<std::size_t> room_at{};
    std::span<const MutableBytes> room{};
    std::atomic<bool> waits_for_room{false};
  };
  // Frames [from, until) of a batch, that go by one pair.
  struct Run {
    std::size_t pair = 0;
    std::size_t from = 0;
    std::size_t until = 0;
  };
  // A ring, and whose it is.
  struct Place {
    virtio::Virtqueue* queue = nullptr;
    const VhostRing** ring = nullptr;
    Pair* pair = nullptr;  // None: the control queue.
    bool transmits = false;
    std::size_t worker = 0;
  };

  void lock_all();
  void unlock_all();
  void enter(Share& share);
  void leave(Share& share);
  [[nodiscard]] Place place_of(std::size_t index);
  void look_who_runs();
  void read_pair(std::size_t number, virtio::FrameBurst& burst);
  void publish(std::size_t worker);
  void serve_control();
  [[nodiscard]] std::size_t pair_of(const wire::FrameBatch& batch, std::size_t frame,
                                    std::uint64_t running) const;
  [[nodiscard]] std::size_t write_room(std::size_t worker, const wire::FrameBatch& batch);
  [[nodiscard]] std::size_t write_run(std::size_t worker, const wire::FrameBatch& batch,
                                      const Run& run);
  void note_broken();
  void wake_other(std::size_t worker);
  void wake_for_room(std::size_t caller);
  [[nodiscard]] bool others_run(std::size_t pair) const;
  void give_up_waits();
  void tell_fault(std::size_t index, virtio::RingFault fault) const;

  virtio::NetDevice device_;
  Kicks* kicks_;
  Tell tell_;
  MappedMemory memory_;
  virtio::FeatureSet accepted_;
  std::atomic<std::uint32_t> epoch_{0};  // Of the features.
  ReceiveEnd::Shared shared_;
  std::deque<Pair> pairs_;
  std::deque<Share> shares_;
  std::atomic<std::uint64_t> running_{0};  // A bit for each pair by which frames reach the guest.
  virtio::ReceiveSteering steering_;
  virtio::ControlQueue control_;
  const VhostRing* control_ring_ = nullptr;
  bool control_told_ = false;
  bool control_looks_ = false;  // Commands are there that nobody kicks for.
  virtio::NetControlState control_state_;
  std::atomic<bool> broken_{false};
  std::atomic<std::size_t> given_up_{
      0};  // Frames that waited too long, which the next write tells.
  // A session that wants all for itself has its turn, also where workers are busy.
  std::mutex gate_;
  std::atomic<bool> changes_{false};
};

}  // namespace sluice::link
