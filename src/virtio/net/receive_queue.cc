#include "virtio/net/receive_queue.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/unreachable.h"

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
  put(batch, frame, ring_.held().subspan(used_, count), Payload::kToBeWritten);
  used_ += count;
  return true;
}

inline void ReceiveQueue::put(const wire::FrameBatch& batch, const wire::FrameOut& frame,
                              std::span<const Chain> chains, Payload payload) {
  std::array<std::uint8_t, wire::VirtioNetHeader::kSize> header;
  wire::VirtioNetHeader offload = frame.offload;
  offload.num_buffers = static_cast<std::uint16_t>(chains.size());
  offload.emit(header);
  ChainWriter writer(chains);
  writer.write(ByteView(header).first(format_.size));
  writer.write(batch.header(frame));
  if (payload == Payload::kToBeWritten) writer.write(frame.payload);
  std::size_t left = format_.size + frame.header_length + frame.payload.size();
  for (const Chain& chain : chains) {
    const std::size_t part = std::min<std::size_t>(left, chain.writable_bytes);
    ring_.give(chain, static_cast<std::uint32_t>(part));
    left -= part;
  }
}

std::span<const MutableBytes> ReceiveQueue::room_for(const Wanted& wanted) {
  room_.clear();
  room_.reserve(kRoomPiecesMax);
  room_frames_ = 0;
  wanted_ = wanted;
  const std::size_t front = format_.size + wanted.headers;
  std::size_t frames_left = (wanted.bytes + wanted.payload - 1) / wanted.payload;
  std::size_t bytes = 0;
  for (; frames_left > 0; --frames_left) {
    const std::size_t payload = std::min(wanted.payload, wanted.bytes - bytes);
    const std::size_t count = gather(front + payload, frames_left);
    if (count == 0 || !add_room(ring_.held().subspan(used_, count), front, payload)) break;
    used_ += count;
    bytes += payload;
    ++room_frames_;
  }
  used_ = 0;
  const bool is_worth_it = bytes > 0 && bytes >= room_.size() * kRoomPieceMin;
  if (!is_worth_it || ring_.fault()) leave_room();
  return room_;
}

bool ReceiveQueue::add_room(std::span<const Chain> chains, std::size_t front, std::size_t payload) {
  const std::size_t before = room_.size();
  for (const Chain& chain : chains) {
    for (MutableBytes piece : chain.writable) {
      const std::size_t skipped = std::min(front, piece.size());
      front -= skipped;
      piece = piece.subspan(skipped);
      piece = piece.first(std::min(piece.size(), payload));
      if (piece.empty()) continue;
      if (room_.size() == kRoomPiecesMax) {
        room_.resize(before);
        return false;
      }
      room_.push_back(piece);
      payload -= piece.size();
    }
  }
  return true;
}

ReceiveQueue::Filled ReceiveQueue::fill_room(const wire::FrameBatch& batch) {
  Filled filled;
  const std::size_t until = std::min(room_frames_, batch.size());
  for (const wire::FrameOut& frame : std::span(batch.begin(), until)) {
    const std::size_t payload = frame.payload.size();
    // The chains are those that it was planned for, from its first byte on; a last frame that came
    // out shorter takes fewer of them.
    const std::size_t count = gather(format_.size + frame.header_length + payload, 1);
    const bool is_last = filled.next + 1 == until;
    const std::size_t most =
        std::min(wanted_.payload, wanted_.bytes - filled.next * wanted_.payload);
    if (frame.header_length != wanted_.headers || count == 0 || payload > most ||
        (payload < most && !is_last)) [[unlikely]] {
      unreachable("frames are not cut as their room was");
    }
    put(batch, frame, ring_.held().subspan(used_, count), Payload::kInPlace);
    used_ += count;
    ++filled.next;
  }
  leave_room();
  filled.call = ring_.needs_call();
  counters_.frames += filled.next;
  return filled;
}

void ReceiveQueue::leave_room() {
  room_frames_ = 0;
  room_.clear();
  finish();
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
