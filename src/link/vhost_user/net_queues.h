// The network device that a front-end sees: its memory, its queues, and frames in and out of them.
// It is the VhostDevice of a session, and does what a link does with frames. Kicks are watched by
// its owner; calls are made here, one write for each queue and burst at most, and none where the
// driver does not want to be told.
//
// A guest that breaks a ring has broken that ring, and is told of no more by it; a front-end that
// takes away memory has ended its session (broken()). Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "link/vhost_user/mapped_memory.h"
#include "link/vhost_user/session.h"
#include "sys/kernel.h"
#include "virtio/net/control_queue.h"
#include "virtio/net/net_device.h"
#include "virtio/net/receive_queue.h"
#include "virtio/net/transmit_queue.h"
#include "wire/link/frame_batch.h"

namespace sluice::link {

class NetQueues final : public VhostDevice {
 public:
  // What whoever runs the guest should know, for a log.
  using Tell = std::function<void(const std::string&)>;
  // Which descriptors are to be watched for kicks, each edge once.
  class Kicks {
   public:
    [[nodiscard]] virtual bool watch(std::size_t ring, int fd) = 0;
    virtual void unwatch(int fd) = 0;

   protected:
    ~Kicks() = default;
  };

  // Frames for which the driver has no buffer wait, up to so many bytes. More than the largest
  // window of one connection, so that a burst is late and not lost.
  static constexpr std::size_t kHeldBytesMax = 4 * 1024 * 1024;

  // Neither the kernel nor `kicks` is owned.
  NetQueues(sys::Kernel& kernel, const virtio::NetDevice& device, Kicks& kicks, Tell tell);

  [[nodiscard]] VhostDone set_table(std::span<const VhostRegion> regions,
                                    std::vector<UniqueFd> files) override;
  [[nodiscard]] VhostDone add_region(const VhostRegion& region, UniqueFd file) override;
  [[nodiscard]] VhostDone remove_region(const VhostRegion& region) override;
  [[nodiscard]] VhostDone set_log(const VhostLog& log, UniqueFd file) override;
  void set_features(std::uint64_t features) override;
  [[nodiscard]] VhostDone start_ring(std::size_t index, const VhostRing& ring) override;
  [[nodiscard]] std::uint32_t stop_ring(std::size_t index) override;
  void ring_changed(std::size_t index) override;

  // The session is over, whose rings have been stopped: nothing of it is left.
  void forget();

  // The driver kicked this ring.
  void on_kick(std::size_t ring);
  // Adds frames of all transmit queues to the burst, in turns. What the driver adds behind it is
  // told by a kick, or may_have_more() says to look again without one.
  void read(virtio::FrameBurst& burst);
  [[nodiscard]] bool may_have_more() const;
  // The frames that were read are done with.
  void release();
  // How many frames are lost; others may wait here for buffers.
  [[nodiscard]] std::size_t write(const wire::FrameBatch& batch);
  // Nothing waits for buffers. Otherwise a kick comes for them.
  [[nodiscard]] bool has_room() const { return held_.empty(); }

  [[nodiscard]] wire::LinkFeatures features() const;
  [[nodiscard]] bool broken() const { return memory_.broken(); }

 private:
  struct Pair {
    virtio::ReceiveQueue receive;
    virtio::TransmitQueue transmit;
    const VhostRing* receive_ring = nullptr;  // While it is started. The session's.
    const VhostRing* transmit_ring = nullptr;
    bool looks = false;         // At what is transmitted, without being kicked for it.
    bool receive_told = false;  // That the ring is broken.
    bool transmit_told = false;
  };
  // A ring, and whose it is.
  struct Place {
    virtio::Virtqueue* queue = nullptr;
    const VhostRing** ring = nullptr;
    Pair* pair = nullptr;  // None: the control queue.
    bool transmits = false;
  };

  [[nodiscard]] Place place_of(std::size_t index);
  [[nodiscard]] virtio::QueueConfig config_of(const VhostRing& ring) const;
  void read_pair(Pair& pair, virtio::FrameBurst& burst);
  void serve_control();
  void deliver_held();
  [[nodiscard]] std::size_t hold(const wire::FrameBatch& batch, std::size_t from);
  void drop_held();
  // Returns the first of the batch, from `from` on, that the driver has no buffer for.
  [[nodiscard]] std::size_t deliver(const wire::FrameBatch& batch, std::size_t from);
  void never_block(const VhostRing& ring) const;
  void call(const VhostRing* ring) const;
  void tell_fault(std::size_t index, virtio::RingFault fault) const;

  sys::Kernel* kernel_;
  virtio::NetDevice device_;
  Kicks* kicks_;
  Tell tell_;
  MappedMemory memory_;
  virtio::FeatureSet accepted_;
  std::vector<Pair> pairs_;
  virtio::ControlQueue control_;
  const VhostRing* control_ring_ = nullptr;
  bool control_told_ = false;
  bool control_looks_ = false;  // Commands are there that nobody kicks for.
  virtio::NetControlState control_state_;
  wire::FrameBatch held_;  // Whole frames, in its arena.
  std::size_t held_bytes_ = 0;
  std::size_t held_given_ = 0;  // The first so many of them are the driver's already.
  std::size_t turn_ = 0;        // The pair that is read first.
};

}  // namespace sluice::link
