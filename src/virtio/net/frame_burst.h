// Frames of a guest for one round of the engine: whoever reads a link fills it from one queue or
// several. What may be looked at is copied out of the guest's memory, and stays as it was checked
// whatever the guest does with its own; the payload of large frames of TCP data is borrowed from
// there. Owns its memory, which it takes once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "wire/link/frame_batch.h"

namespace sluice::virtio {

class FrameBurst {
 public:
  // As for a tap: many frames of a flow are to go out in one send, and others get their turn.
  static constexpr std::size_t kFramesMax = 128;
  static constexpr std::size_t kBytesMax = 1024 * 1024;
  // Of one frame: 64 KiB of IP, and what may stand before it.
  static constexpr std::size_t kFrameMax = 80 * 1024;
  // Borrowed pieces of all frames.
  static constexpr std::size_t kPiecesMax = 512;

  FrameBurst();
  // Whether frames may borrow from the guest's memory: only where all of it stays mapped until
  // whoever has the frames is done with them. They may to begin with.
  void set_borrowing(bool borrowing) { borrowing_ = borrowing; }

  void clear() {
    frames_.clear();
    pieces_.clear();
    used_ = 0;
  }
  [[nodiscard]] bool full() const { return frames_.size() == kFramesMax || used_ >= kBytesMax; }
  // Valid until clear().
  [[nodiscard]] std::span<const wire::FrameIn> frames() const { return frames_; }

  // Room for a frame and what stands before it, at most kFrameMax bytes; only while not full().
  [[nodiscard]] MutableBytes room(std::size_t size) { return {memory_.get() + used_, size}; }
  // For the rest of a frame that is kept next: `first`, and others behind it. Empty when they have
  // to be copied: nobody may borrow, or there are too many of them.
  [[nodiscard]] std::span<const ByteView> borrow(ByteView first, std::span<const ByteView> others);
  // The newest room stays, and has this frame in it.
  void keep(MutableBytes room, const wire::FrameIn& frame);

 private:
  std::unique_ptr<std::uint8_t[]> memory_;
  std::size_t used_ = 0;
  std::vector<wire::FrameIn> frames_;
  std::vector<ByteView> pieces_;  // Frames refer to them: it never grows.
  bool borrowing_ = true;
};

}  // namespace sluice::virtio
