#include "virtio/net/frame_burst.h"

namespace sluice::virtio {
namespace {

constexpr std::size_t kCacheLine = 64;

}  // namespace

FrameBurst::FrameBurst()
    : memory_(std::make_unique_for_overwrite<std::uint8_t[]>(kBytesMax + kFrameMax)) {
  frames_.reserve(kFramesMax);
  pieces_.reserve(kPiecesMax);
}

std::span<const ByteView> FrameBurst::borrow(ByteView first, std::span<const ByteView> others) {
  const std::size_t begin = pieces_.size();
  if (!borrowing_ || others.size() >= kPiecesMax - begin) return {};
  if (!first.empty()) pieces_.push_back(first);
  pieces_.insert(pieces_.end(), others.begin(), others.end());
  return std::span(pieces_).subspan(begin);
}

void FrameBurst::keep(MutableBytes room, const wire::FrameIn& frame) {
  frames_.push_back(frame);
  used_ += (room.size() + kCacheLine - 1) & ~(kCacheLine - 1);
}

}  // namespace sluice::virtio
