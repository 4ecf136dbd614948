#include "virtio/net/transmit_queue.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "wire/transport/tcp_frame_head.h"

namespace sluice::virtio {
namespace {

// Reads on and on from the pieces of a chain, none of them twice.
class PieceReader {
 public:
  explicit PieceReader(std::span<const ByteView> pieces)
      : piece_(pieces.front()), others_(pieces.subspan(1)) {}

  // There must be as much.
  void read(MutableBytes to) {
    while (!to.empty()) {
      if (piece_.empty()) {
        piece_ = others_.front();
        others_ = others_.subspan(1);
      }
      const std::size_t part = std::min(to.size(), piece_.size());
      std::memcpy(to.data(), piece_.data(), part);
      to = to.subspan(part);
      piece_ = piece_.subspan(part);
    }
  }
  // What was not read: of the piece that was read last, and those behind it.
  [[nodiscard]] ByteView piece() const { return piece_; }
  [[nodiscard]] std::span<const ByteView> others() const { return others_; }

 private:
  ByteView piece_;
  std::span<const ByteView> others_;
};

}  // namespace

std::expected<bool, RingFault> TransmitQueue::read(FrameBurst& burst) {
  if (!ring_.started()) return true;
  while (!burst.full()) {
    const std::size_t wanted = FrameBurst::kFramesMax - burst.frames().size();
    const auto taken = ring_.take(wanted);
    if (!taken) return std::unexpected(taken.error());
    std::size_t left = taken->size();
    for (const Chain& chain : *taken) {
      if (burst.full()) break;
      add_frame(chain, burst);
      ring_.give(chain, 0);
      given_ = true;
      --left;
    }
    ring_.put_back(left);
    if (left == 0 && taken->size() < wanted) return true;
  }
  return false;
}

bool TransmitQueue::release() {
  if (!given_) return false;
  given_ = false;
  ring_.publish();
  return ring_.needs_call();
}

// All that the engine looks at is copied: it does so more than once, and a guest must not be able
// to change it in between.
void TransmitQueue::add_frame(const Chain& chain, FrameBurst& burst) {
  const std::size_t size = chain.readable_bytes;
  if (size <= format_.size) {
    ++counters_.too_short;
    return;
  }
  if (size > FrameBurst::kFrameMax) {
    ++counters_.too_long;
    return;
  }
  const bool large = size >= kBorrowedMin && chain.readable.size() <= size / kPieceMin;
  const MutableBytes room = burst.room(size);
  PieceReader reader(chain.readable);
  reader.read(room.first(large ? kHeadSize : size));
  // The 10 bytes that both forms begin with: num_buffers says nothing in this direction.
  wire::FrameIn frame{.bytes = ByteView(room).subspan(format_.size),
                      .offload = wire::VirtioNetHeader::parse_legacy(
                          room.first<wire::VirtioNetHeader::kSizeLegacy>())};
  if (large) {
    const ByteView head = frame.bytes.first(kHeadSize - format_.size);
    if (frame.offload.vouches() && wire::TcpFrameHead::parse(head, frame.bytes.size())) {
      frame.rest = burst.borrow(reader.piece(), reader.others());
    }
    if (frame.rest.empty()) {
      reader.read(room.subspan(kHeadSize));
    } else {
      frame.bytes = head;
      frame.room = room.subspan(format_.size);
    }
  }
  burst.keep(room, frame);
  ++counters_.frames;
}

}  // namespace sluice::virtio
