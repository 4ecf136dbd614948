// A frame whose head is here and whose other bytes lie elsewhere, as a link may give it: each piece
// in a block of its own, so that a read behind its end shows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "wire/link/frame_batch.h"

namespace sluice::flow::test {

class CutFrame {
 public:
  // `head` bytes, at least one and not all, and the others in pieces of at most `piece` bytes.
  CutFrame(ByteView frame, std::size_t head, std::size_t piece)
      : room_(frame.size(), 0xee), head_size_(head) {
    std::ranges::copy(frame.first(head), room_.begin());
    for (ByteView left = frame.subspan(head); !left.empty();) {
      const ByteView part = left.first(std::min(piece, left.size()));
      blocks_.emplace_back(part.begin(), part.end());
      left = left.subspan(part.size());
    }
    pieces_.assign(blocks_.begin(), blocks_.end());
  }
  CutFrame(CutFrame&&) = default;
  CutFrame& operator=(CutFrame&&) = default;

  // Valid as long as this is.
  [[nodiscard]] wire::FrameIn as_it_came(const wire::VirtioNetHeader& offload) {
    return {.bytes = ByteView(room_).first(head_size_),
            .offload = offload,
            .rest = pieces_,
            .room = room_};
  }
  // What is the guest's yet.
  [[nodiscard]] std::span<std::vector<std::uint8_t>> blocks() { return blocks_; }

 private:
  std::vector<std::uint8_t> room_;
  std::size_t head_size_;
  std::vector<std::vector<std::uint8_t>> blocks_;
  std::vector<ByteView> pieces_;
};

}  // namespace sluice::flow::test
