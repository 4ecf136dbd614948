#include "virtio/net/transmit_queue.h"

#include <algorithm>
#include <cstring>

namespace sluice::virtio {

std::expected<bool, RingFault> TransmitQueue::read(FrameBurst& burst) {
  if (!ring_.started()) return true;
  while (!burst.full()) {
    const std::size_t wanted = FrameBurst::kFramesMax - burst.frames().size();
    const auto taken = ring_.take(wanted);
    if (!taken) return std::unexpected(taken.error());
    std::size_t left = taken->size();
    for (const Chain& chain : *taken) {
      if (burst.full()) break;
      copy(chain, burst);
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

// The whole of it: the engine looks at headers more than once, and a guest must not be able to
// change them in between.
void TransmitQueue::copy(const Chain& chain, FrameBurst& burst) {
  if (chain.readable_bytes <= format_.size) {
    ++counters_.too_short;
    return;
  }
  if (chain.readable_bytes > FrameBurst::kFrameMax) {
    ++counters_.too_long;
    return;
  }
  const MutableBytes room = burst.room(chain.readable_bytes);
  std::uint8_t* at = room.data();
  for (const ByteView piece : chain.readable) {
    std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  }
  const ByteView read(room);
  // The 10 bytes that both forms begin with: num_buffers says nothing in this direction.
  burst.keep(room, {.bytes = read.subspan(format_.size),
                    .offload = wire::VirtioNetHeader::parse_legacy(
                        read.first<wire::VirtioNetHeader::kSizeLegacy>())});
  ++counters_.frames;
}

}  // namespace sluice::virtio
