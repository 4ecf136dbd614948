// A guest's transmit queue: its chains become frames for the engine. A large frame of TCP data for
// whose checksum the guest vouches is copied as far as its headers may go; its other bytes stay
// where they are, and are the guest's again with its chain. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>

#include "virtio/net/frame_burst.h"
#include "virtio/net/net_device.h"
#include "virtio/ring/virtqueue.h"

namespace sluice::virtio {

struct TransmitCounters {
  std::uint64_t frames = 0;
  std::uint64_t too_long = 0;   // Above FrameBurst::kFrameMax.
  std::uint64_t too_short = 0;  // Without a whole virtio-net header, or nothing behind it.
};

class TransmitQueue {
 public:
  // What is copied of a frame whose rest is borrowed, virtio-net header included: Ethernet, and the
  // longest headers of IP and TCP, are 134 bytes of it.
  static constexpr std::size_t kHeadSize = 192;
  // From so many bytes on, in pieces of so many on average, a frame is borrowed: below that, to
  // copy it costs less than to hand it on in pieces.
  static constexpr std::size_t kBorrowedMin = 4096;
  static constexpr std::size_t kPieceMin = 1024;

  // Started, stopped and asked for its base by the transport.
  [[nodiscard]] Virtqueue& ring() { return ring_; }
  [[nodiscard]] const Virtqueue& ring() const { return ring_; }
  void set_format(const NetHeaderFormat& format) { format_ = format; }

  // Adds to the burst what is there and what the burst has room for. True when the driver had no
  // more, as far as is known: then enable_kicks() of the ring, and read again if it says so. A
  // queue that is stopped has nothing and is drained.
  [[nodiscard]] std::expected<bool, RingFault> read(FrameBurst& burst);
  // Once the burst's frames are done with, what they borrow included. Gives their chains back; true
  // when the driver wants to be told of it. Nothing to do for a queue that had none.
  [[nodiscard]] bool release();

  [[nodiscard]] const TransmitCounters& counters() const { return counters_; }

 private:
  void add_frame(const Chain& chain, FrameBurst& burst);
  // False where the frame has to be copied.
  [[nodiscard]] bool borrow(const Chain& chain, MutableBytes room, FrameBurst& burst);

  Virtqueue ring_;
  NetHeaderFormat format_;
  TransmitCounters counters_;
  bool given_ = false;  // Chains that release() is to publish.
};

}  // namespace sluice::virtio
