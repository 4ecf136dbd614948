// A guest's receive queue: frames of the engine go into the buffers that its driver made
// available. Not thread-safe.
#pragma once

#include <cstdint>

#include "virtio/net/net_device.h"
#include "virtio/ring/virtqueue.h"
#include "wire/link/frame_batch.h"

namespace sluice::virtio {

struct ReceiveCounters {
  std::uint64_t frames = 0;
  std::uint64_t no_room = 0;  // Dropped: the driver had no buffers left, or too small ones.
};

class ReceiveQueue {
 public:
  [[nodiscard]] Virtqueue& ring() { return ring_; }
  [[nodiscard]] const Virtqueue& ring() const { return ring_; }
  void set_format(const NetHeaderFormat& format) { format_ = format; }

  struct Written {
    std::size_t lost = 0;  // Frames for which there was no room.
    bool call = false;     // The driver wants to be told of the others.
  };
  // Nothing of the batch is needed when it returns. Published once for all of it, unless it takes
  // more chains than a ring keeps at once. Without a running queue all frames are lost; a fault is
  // the ring's fault() afterwards.
  [[nodiscard]] Written write(const wire::FrameBatch& batch);

  struct Filled {
    std::size_t next = 0;  // The first frame for which there was no room, or `until`.
    bool call = false;
  };
  // The same for frames [from, until) of the batch, as far as there is room for one after the
  // other: for who keeps the rest.
  [[nodiscard]] Filled fill(const wire::FrameBatch& batch, std::size_t from, std::size_t until);

  [[nodiscard]] const ReceiveCounters& counters() const { return counters_; }

 private:
  [[nodiscard]] bool write_frame(const wire::FrameBatch& batch, const wire::FrameOut& frame,
                                 std::size_t frames_left);
  // How many of the chains behind those that were used have room for so many bytes; zero: the
  // driver has not enough of them. It takes some for the other frames as well.
  [[nodiscard]] std::size_t gather(std::size_t bytes, std::size_t frames_left);
  void finish();

  Virtqueue ring_;
  NetHeaderFormat format_;
  ReceiveCounters counters_;
  std::size_t used_ = 0;  // Of the chains that are held.
};

}  // namespace sluice::virtio
