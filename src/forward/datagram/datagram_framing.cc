#include "forward/datagram/datagram_framing.h"

#include <algorithm>

namespace sluice::forward {
namespace {

std::size_t length_of(ByteView frame) { return be16<0>(frame.first<kFrameHeader>()); }

}  // namespace

// Moves bytes from the piece to the frame that an earlier piece began.
bool FrameReader::complete(ByteView& frame) {
  const auto take_until = [this](std::size_t size) {
    const std::size_t count = std::min(size - partial_.size(), rest_.size());
    partial_.insert(partial_.end(), rest_.begin(),
                    rest_.begin() + static_cast<std::ptrdiff_t>(count));
    rest_ = rest_.subspan(count);
    return partial_.size() == size;
  };
  if (partial_.size() < kFrameHeader && !take_until(kFrameHeader)) return false;
  // The length is the peer's word: memory grows with what really came.
  if (!take_until(kFrameHeader + length_of(partial_))) return false;
  whole_ = std::move(partial_);
  partial_ = {};
  frame = ByteView(whole_).subspan(kFrameHeader);
  return true;
}

bool FrameReader::next(ByteView& frame) {
  if (!partial_.empty()) return complete(frame);
  if (rest_.size() >= kFrameHeader) {
    const std::size_t length = length_of(rest_);
    if (rest_.size() - kFrameHeader >= length) {
      frame = rest_.subspan(kFrameHeader, length);
      rest_ = rest_.subspan(kFrameHeader + length);
      return true;
    }
  }
  partial_.assign(rest_.begin(), rest_.end());
  rest_ = {};
  return false;
}

}  // namespace sluice::forward
