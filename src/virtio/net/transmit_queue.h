// A guest's transmit queue: its chains become frames for the engine. Not thread-safe.
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
  // Started, stopped and asked for its base by the transport.
  [[nodiscard]] Virtqueue& ring() { return ring_; }
  [[nodiscard]] const Virtqueue& ring() const { return ring_; }
  void set_format(const NetHeaderFormat& format) { format_ = format; }

  // Adds to the burst what is there and what the burst has room for. True when the driver had no
  // more, as far as is known: then enable_kicks() of the ring, and read again if it says so. A
  // queue that is stopped has nothing and is drained.
  [[nodiscard]] std::expected<bool, RingFault> read(FrameBurst& burst);
  // Once the burst's frames are done with. Gives their chains back; true when the driver wants to
  // be told of it. Nothing to do for a queue that had none.
  [[nodiscard]] bool release();

  [[nodiscard]] const TransmitCounters& counters() const { return counters_; }

 private:
  void copy(const Chain& chain, FrameBurst& burst);

  Virtqueue ring_;
  NetHeaderFormat format_;
  TransmitCounters counters_;
  bool given_ = false;  // Chains that release() is to publish.
};

}  // namespace sluice::virtio
