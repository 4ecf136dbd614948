#include "virtio/net/receive_queue.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace sluice::virtio {
namespace {

// Writes on and on into the writable pieces of chains, which have room for all of it.
class ChainWriter {
 public:
  explicit ChainWriter(std::span<const Chain> chains) : chains_(chains) { enter(); }

  void write(ByteView bytes) {
    while (!bytes.empty()) {
      while (room_.empty()) next();
      const std::size_t part = std::min(bytes.size(), room_.size());
      std::memcpy(room_.data(), bytes.data(), part);
      bytes = bytes.subspan(part);
      room_ = room_.subspan(part);
    }
  }

 private:
  void enter() { room_ = chains_.front().writable.front(); }
  void next() {
    if (++piece_ == chains_.front().writable.size()) {
      piece_ = 0;
      chains_ = chains_.subspan(1);
    }
    room_ = chains_.front().writable[piece_];
  }

  std::span<const Chain> chains_;
  std::size_t piece_ = 0;
  MutableBytes room_;
};

}  // namespace

ReceiveQueue::Written ReceiveQueue::write(const wire::FrameBatch& batch) {
  Written written;
  std::size_t frames_left = batch.size();
  for (const wire::FrameOut& frame : batch) {
    if (!write_frame(batch, frame, frames_left)) ++written.lost;
    --frames_left;
  }
  finish();
  written.call = ring_.needs_call();
  counters_.frames += batch.size() - written.lost;
  counters_.no_room += written.lost;
  return written;
}

ReceiveQueue::Filled ReceiveQueue::fill(const wire::FrameBatch& batch, std::size_t from,
                                        std::size_t until) {
  Filled filled{.next = from};
  auto frame = batch.begin() + static_cast<std::ptrdiff_t>(from);
  for (; filled.next < until; ++filled.next, ++frame) {
    if (!write_frame(batch, *frame, until - filled.next)) break;
  }
  finish();
  filled.call = ring_.needs_call();
  counters_.frames += filled.next - from;
  return filled;
}

bool ReceiveQueue::write_frame(const wire::FrameBatch& batch, const wire::FrameOut& frame,
                               std::size_t frames_left) {
  const std::size_t size = format_.size + frame.header_length + frame.payload.size();
  std::size_t count = gather(size, frames_left);
  if (count == 0 && used_ > 0 && !ring_.fault()) {
    // What was written so far may be what keeps the ring from taking more.
    finish();
    count = gather(size, frames_left);
  }
  if (count == 0) return false;
  const std::span<const Chain> chains = ring_.held().subspan(used_, count);
  std::array<std::uint8_t, wire::VirtioNetHeader::kSize> header;
  wire::VirtioNetHeader offload = frame.offload;
  offload.num_buffers = static_cast<std::uint16_t>(count);
  offload.emit(header);
  ChainWriter writer(chains);
  writer.write(ByteView(header).first(format_.size));
  writer.write(batch.header(frame));
  writer.write(frame.payload);
  std::size_t left = size;
  for (const Chain& chain : chains) {
    const std::size_t part = std::min<std::size_t>(left, chain.writable_bytes);
    ring_.give(chain, static_cast<std::uint32_t>(part));
    left -= part;
  }
  used_ += count;
  return true;
}

std::size_t ReceiveQueue::gather(std::size_t bytes, std::size_t frames_left) {
  if (ring_.fault()) return 0;
  std::size_t room = 0;
  for (std::size_t count = 0; room < bytes; ++count) {
    if (count > 0 && !format_.mergeable) return 0;
    std::span<const Chain> chains = ring_.held().subspan(used_);
    if (count == chains.size()) {
      // As many as the frame lacks if they are like the newest, and one for each other frame.
      const std::size_t each = chains.empty() ? bytes : chains.back().writable_bytes;
      const auto taken = ring_.take((bytes - room + each - 1) / each + frames_left - 1);
      if (!taken || taken->empty()) return 0;
      chains = ring_.held().subspan(used_);
    }
    // A buffer has room for the header at least (5.1.6.3.1).
    if (chains[count].writable_bytes < format_.size) {
      ring_.break_with(RingFault::kNoRoomForHeader);
      return 0;
    }
    room += chains[count].writable_bytes;
    if (room >= bytes) return count + 1;
  }
  return 0;
}

// What was taken and not used is the driver's again, who sees what was used.
void ReceiveQueue::finish() {
  ring_.put_back(ring_.held().size() - used_);
  ring_.publish();
  used_ = 0;
}

}  // namespace sluice::virtio
