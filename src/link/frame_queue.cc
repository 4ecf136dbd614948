#include "link/frame_queue.h"

#include <algorithm>
#include <array>

namespace sluice::link {

bool FrameQueue::push(ByteView header, ByteView payload, std::size_t sent) {
  const std::size_t length = header.size() + payload.size();
  if (sent == 0 && size() + kLengthSize + length > bytes_max_) return false;
  if (begin_ > bytes_.size() / 2) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
  std::array<std::uint8_t, kLengthSize> prefix;
  put32<0>(FixedBytes<kLengthSize>(prefix), static_cast<std::uint32_t>(length));
  for (const ByteView part : {ByteView(prefix), header, payload}) {
    const std::size_t skipped = std::min(sent, part.size());
    sent -= skipped;
    const ByteView rest = part.subspan(skipped);
    bytes_.insert(bytes_.end(), rest.begin(), rest.end());
  }
  return true;
}

ByteView FrameQueue::frame_at(std::size_t offset) const {
  const ByteView from = bytes().subspan(offset);
  return from.subspan(kLengthSize, be32<0>(from.first<kLengthSize>()));
}

void FrameQueue::pop(std::size_t size) {
  begin_ += size;
  if (empty()) clear();
}

void FrameQueue::clear() {
  begin_ = 0;
  if (bytes_.capacity() > kKept) {
    // An empty list would keep the memory.
    bytes_ = std::vector<std::uint8_t>();
  } else {
    bytes_.clear();
  }
}

}  // namespace sluice::link
