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

// The 10 bytes that both forms begin with: num_buffers says nothing in this direction.
wire::VirtioNetHeader header_of(ByteView read) {
  return wire::VirtioNetHeader::parse_legacy(read.first<wire::VirtioNetHeader::kSizeLegacy>());
}

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
  const MutableBytes room = burst.room(size);
  const bool large = size >= kBorrowedMin && chain.readable.size() <= size / kPieceMin;
  if (large && borrow(chain, room, burst)) return;
  std::uint8_t* at = room.data();
  for (const ByteView piece : chain.readable) {
    std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  }
  burst.keep(room, {.bytes = ByteView(room).subspan(format_.size), .offload = header_of(room)});
  ++counters_.frames;
}

// What was copied of a frame that has to be whole is copied anew: it was looked at for that only.
bool TransmitQueue::borrow(const Chain& chain, MutableBytes room, FrameBurst& burst) {
  PieceReader reader(chain.readable);
  reader.read(room.first(kHeadSize));
  wire::FrameIn frame{.bytes = ByteView(room).subspan(format_.size, kHeadSize - format_.size),
                      .offload = header_of(room),
                      .room = room.subspan(format_.size)};
  const bool plain = frame.offload.vouches() &&
                     wire::TcpFrameHead::parse(frame.bytes, frame.room.size()).has_value();
  if (plain) frame.rest = burst.borrow(reader.piece(), reader.others());
  if (frame.rest.empty()) return false;
  burst.keep(room, frame);
  ++counters_.frames;
  return true;
}

}  // namespace sluice::virtio
