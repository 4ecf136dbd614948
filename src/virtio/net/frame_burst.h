// Frames of a guest, copied out of its memory, for one round of the engine: whoever reads a link
// fills it from one queue or several. Their bytes stay as they were checked, whatever the guest
// does with its own. Owns its memory, which it takes once.
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

  FrameBurst();

  void clear() {
    frames_.clear();
    used_ = 0;
  }
  [[nodiscard]] bool full() const { return frames_.size() == kFramesMax || used_ >= kBytesMax; }
  // Valid until clear().
  [[nodiscard]] std::span<const wire::FrameIn> frames() const { return frames_; }

  // Room for a frame and what stands before it, at most kFrameMax bytes; only while not full().
  [[nodiscard]] MutableBytes room(std::size_t size) { return {memory_.get() + used_, size}; }
  // The newest room stays, and has this frame in it.
  void keep(MutableBytes room, const wire::FrameIn& frame);

 private:
  std::unique_ptr<std::uint8_t[]> memory_;
  std::size_t used_ = 0;
  std::vector<wire::FrameIn> frames_;
};

}  // namespace sluice::virtio
