#include "link/vhost_user/receive_end.h"

#include <algorithm>
#include <utility>

namespace sluice::link {
namespace {

// Of memory for frames that waited so much is kept for others: the bound of HeldBytes is meant for
// all queues together.
constexpr std::size_t kKeptBytes = 64 * 1024;

// Asks for a kick for buffers beyond those that are there, which are too few. True when some came
// meanwhile.
[[nodiscard]] bool await_buffers(virtio::Virtqueue& ring) {
  // An event index behind them would be one that the driver has passed.
  const auto rest = ring.take(virtio::kQueueSizeMax);
  const bool more = ring.enable_kicks();
  if (rest) ring.put_back(rest->size());
  return more;
}

}  // namespace

// Kicks of a receive queue are wanted only while there are frames and no buffers.
void ReceiveEnd::on_started() {
  told_ = false;
  left_ = false;
  queue_.ring().disable_kicks();
}

std::size_t ReceiveEnd::write(const wire::FrameBatch& batch, std::size_t from, std::size_t until) {
  if (!runs(ring_)) return until - from;
  if (!held_.empty()) deliver_held();
  const std::size_t next = held_.empty() ? deliver(batch, from, until) : from;
  if (next > from) left_ = false;
  if (next == until) return 0;
  if (!left_) [[likely]]
    return hold(batch, next, until);
  queue_.ring().disable_kicks();
  return until - from;
}

void ReceiveEnd::begin_wait(Instant now) {
  waits_since_ = now;
  heard_ = shared_->heard.load();
}

std::size_t ReceiveEnd::give_up(Instant now) {
  if (held_.empty() || now - waits_since() < kReceivePatience) return 0;
  if (heard_ == shared_->heard.load()) {
    begin_wait(now);
    return 0;
  }
  const std::size_t lost = held_.size() - held_given_;
  queue_.ring().disable_kicks();
  drop_held();
  left_ = true;
  return lost;
}

std::span<const MutableBytes> ReceiveEnd::room_for(const virtio::ReceiveQueue::Wanted& wanted) {
  if (!runs(ring_) || !held_.empty() || queue_.ring().fault()) return {};
  return queue_.room_for(wanted);
}

std::size_t ReceiveEnd::write_room(const wire::FrameBatch& batch) {
  const virtio::ReceiveQueue::Filled filled = queue_.fill_room(batch);
  call_due_ = call_due_ || filled.call;
  if (filled.next > 0) left_ = false;
  return filled.next;
}

std::size_t ReceiveEnd::deliver(const wire::FrameBatch& batch, std::size_t from,
                                std::size_t until) {
  virtio::Virtqueue& ring = queue_.ring();
  std::size_t next = from;
  while (next < until) {
    const virtio::ReceiveQueue::Filled filled = queue_.fill(batch, next, until);
    call_due_ = call_due_ || filled.call;
    next = filled.next;
    if (next == until) break;
    if (const auto fault = ring.fault()) {
      if (!std::exchange(told_, true)) shared_->tell_fault(queue_index_, *fault);
      break;
    }
    if (!await_buffers(ring)) break;
    ring.disable_kicks();
  }
  return next;
}

std::size_t ReceiveEnd::hold(const wire::FrameBatch& batch, std::size_t from, std::size_t until) {
  if (queue_.ring().fault()) return until - from;
  const bool begins = held_.empty();
  std::size_t lost = 0;
  for (std::size_t i = from; i < until; ++i) {
    const wire::FrameOut& frame = batch.begin()[static_cast<std::ptrdiff_t>(i)];
    const ByteView header = batch.header(frame);
    const std::size_t size = header.size() + frame.payload.size();
    if (!shared_->held.take(size)) {
      ++lost;
      continue;
    }
    const MutableBytes room = held_.add(size, {}, frame.offload);
    std::ranges::copy(header, room.begin());
    std::ranges::copy(frame.payload, room.begin() + static_cast<std::ptrdiff_t>(header.size()));
    held_bytes_ += size;
  }
  if (begins && !held_.empty()) begin_wait(shared_->clock());
  return lost;
}

void ReceiveEnd::deliver_held() {
  if (held_.empty() || !runs(ring_)) return;
  held_given_ = deliver(held_, held_given_, held_.size());
  // A ring that is broken takes none of them any more.
  if (held_given_ < held_.size() && !queue_.ring().fault()) return;
  queue_.ring().disable_kicks();
  drop_held();
}

void ReceiveEnd::drop_held() {
  shared_->held.give_back(held_bytes_);
  forget_held();
}

void ReceiveEnd::forget_held() {
  if (waits_since_.exchange(kNever) != kNever) shared_->emptied = true;
  if (held_bytes_ > kKeptBytes) {
    held_ = wire::FrameBatch();
  } else {
    held_.clear();
  }
  held_bytes_ = 0;
  held_given_ = 0;
}

void ReceiveEnd::hand_held_to(ReceiveEnd& other) {
  // They keep the room that they have, in whichever queue they wait.
  shared_->held.give_back(held_bytes_);
  (void)other.write(held_, held_given_, held_.size());
  other.call_if_due();
  forget_held();
}

void ReceiveEnd::call_if_due() {
  if (std::exchange(call_due_, false)) shared_->calls.call(ring_);
}

}  // namespace sluice::link
