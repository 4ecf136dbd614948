#include "virtio/net/frame_burst.h"

namespace sluice::virtio {
namespace {

constexpr std::size_t kCacheLine = 64;

}  // namespace

FrameBurst::FrameBurst()
    : memory_(std::make_unique_for_overwrite<std::uint8_t[]>(kBytesMax + kFrameMax)) {
  frames_.reserve(kFramesMax);
}

void FrameBurst::keep(MutableBytes room, const wire::FrameIn& frame) {
  frames_.push_back(frame);
  used_ += (room.size() + kCacheLine - 1) & ~(kCacheLine - 1);
}

}  // namespace sluice::virtio
