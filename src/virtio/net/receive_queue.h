// A guest's receive queue: frames of the engine go into the buffers that its driver made
// available. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
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

  // Frames to come, each of which is whole but the last.
  struct Wanted {
    std::size_t headers = 0;  // Of each frame, from the Ethernet header on.
    std::size_t payload = 0;  // Of a whole one. Not zero.
    std::size_t bytes = 0;    // Payload of all of them, not zero. Of whole ones: others may follow.
  };
  // Pieces of the driver's buffers in which the payload of such frames may be put before they are
  // written, in the order of the frames: for as many of them as there are buffers, and none where
  // the pieces are too small to be worth it. The buffers stay taken until fill_room() or
  // leave_room(), one of which is the next call. Of a guest that changes them meanwhile only its
  // own frames are wrong: what was put there is not looked at.
  [[nodiscard]] std::span<const MutableBytes> room_for(const Wanted& wanted);
  static constexpr std::size_t kRoomPiecesMax = 512;
  // Smaller ones cost the kernel more than a copy does.
  static constexpr std::size_t kRoomPieceMin = 1024;
  // The same as fill() for the first frames of the batch, as many as have room: their payload is
  // there already, as it was wanted, and what a view of it shows is nothing. The buffers of others
  // are the driver's again.
  [[nodiscard]] Filled fill_room(const wire::FrameBatch& batch);
  void leave_room();

  [[nodiscard]] const ReceiveCounters& counters() const { return counters_; }

 private:
  [[nodiscard]] bool write_frame(const wire::FrameBatch& batch, const wire::FrameOut& frame,
                                 std::size_t frames_left);
  // How many of the chains behind those that were used have room for so many bytes; zero: the
  // driver has not enough of them. It takes some for the other frames as well.
  [[nodiscard]] std::size_t gather(std::size_t bytes, std::size_t frames_left);
  // What is said of a frame, and its headers, go in front of its payload; then the chains are the
  // driver's.
  enum class Payload : std::uint8_t { kToBeWritten, kInPlace };
  void put(const wire::FrameBatch& batch, const wire::FrameOut& frame,
           std::span<const Chain> chains, Payload payload);
  // False where there are too many pieces.
  [[nodiscard]] bool add_room(std::span<const Chain> chains, std::size_t front,
                              std::size_t payload);
  void finish();

  Virtqueue ring_;
  NetHeaderFormat format_;
  ReceiveCounters counters_;
  std::size_t used_ = 0;  // Of the chains that are held.
  // What room_for() gave.
  Wanted wanted_;
  std::size_t room_frames_ = 0;
  std::vector<MutableBytes> room_;
};

}  // namespace sluice::virtio
