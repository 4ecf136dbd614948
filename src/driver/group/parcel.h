// Frames of one worker's flows that came by another worker's link, copied one behind the other, to
// be handed over whole. It keeps its memory when it is cleared. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "wire/link/frame_batch.h"

namespace sluice::driver {

class Parcel {
 public:
  void add(const wire::FrameIn& frame) {
    const std::size_t begin = (bytes_.size() + kAlignment - 1) & ~(kAlignment - 1);
    bytes_.resize(begin);
    bytes_.insert(bytes_.end(), frame.bytes.begin(), frame.bytes.end());
    for (const ByteView piece : frame.rest) bytes_.insert(bytes_.end(), piece.begin(), piece.end());
    frames_.push_back({begin, bytes_.size() - begin, frame.offload});
  }
  void clear() {
    bytes_.clear();
    frames_.clear();
  }

  [[nodiscard]] bool empty() const { return frames_.empty(); }
  [[nodiscard]] std::size_t size() const { return frames_.size(); }
  // What it counts for where there is a bound.
  [[nodiscard]] std::size_t bytes() const { return bytes_.size() + frames_.size() * sizeof(Place); }
  // Valid until the next add().
  [[nodiscard]] wire::FrameIn frame(std::size_t at) const {
    const Place& place = frames_[at];
    return {ByteView(bytes_).subspan(place.begin, place.length), place.offload};
  }

 private:
  // Each frame begins on a cache line of its own.
  static constexpr std::size_t kAlignment = 64;

  struct Place {
    std::size_t begin;
    std::size_t length;
    wire::VirtioNetHeader offload;
  };

  std::vector<std::uint8_t> bytes_;
  std::vector<Place> frames_;
};

}  // namespace sluice::driver
