// Room for frames in a guest's own buffers, from where they are given to where they are written;
// and who waits for buffers, and how long.
#include <algorithm>
#include <bit>
#include <utility>

#include "link/vhost_user/net_queues.h"

namespace sluice::link {
namespace {

constexpr std::size_t kPage = 4096;

// A byte of each page of it, as whoever copied there would have touched it: what is gone is found
// by its guard.
void touch(std::span<const MutableBytes> room) {
  for (const MutableBytes piece : room) {
    for (std::size_t at = 0; at < piece.size(); at += kPage) {
      (void)*static_cast<const volatile std::uint8_t*>(&piece[at]);
    }
    (void)*static_cast<const volatile std::uint8_t*>(&piece.back());
  }
}

}  // namespace

std::span<const MutableBytes> NetQueues::room_for(std::size_t worker,
                                                  const Link::RoomWanted& wanted) {
  const std::uint64_t running = running_.load(std::memory_order_relaxed);
  if (running == 0) return {};
  auto pair = static_cast<std::size_t>(std::countr_zero(running));
  if (!std::has_single_bit(running)) {
    const std::size_t learned = steering_.pair_of(wanted.flow);
    if ((running >> learned & 1) != 0) pair = learned;
  }
  Share& share = shares_[worker];
  ReceiveEnd& receive = pairs_[pair].receive;
  std::unique_lock lock(receive.mutex());
  if (share.epoch != epoch_.load()) [[unlikely]]
    return {};
  share.room = receive.room_for(
      {.headers = wanted.headers, .payload = wanted.payload, .bytes = wanted.bytes});
  if (share.room.empty()) {
    note_broken();
    return {};
  }
  lock.release();
  share.room_at = pair;
  return share.room;
}

std::size_t NetQueues::write_room(std::size_t worker, const wire::FrameBatch& batch) {
  Share& share = shares_[worker];
  ReceiveEnd& receive = pairs_[*std::exchange(share.room_at, std::nullopt)].receive;
  const std::unique_lock lock(receive.mutex(), std::adopt_lock);
  const std::size_t frames = receive.write_room(batch);
  note_broken();
  return frames;
}

void NetQueues::leave_room(std::size_t worker, bool is_gone) {
  Share& share = shares_[worker];
  if (!share.room_at) return;
  ReceiveEnd& receive = pairs_[*std::exchange(share.room_at, std::nullopt)].receive;
  const std::unique_lock lock(receive.mutex(), std::adopt_lock);
  if (is_gone) [[unlikely]]
    touch(share.room);
  receive.leave_room();
  note_broken();
}

bool NetQueues::has_room(std::size_t worker) {
  if (shared_.held.none()) [[likely]]
    return true;
  give_up_waits();
  wake_for_room(worker);
  // Said before it is looked at again, so that whoever empties the last queue sees it.
  shares_[worker].waits_for_room = true;
  return shared_.held.none();
}

// Where there is no other pair, nobody is held up who could get on.
bool NetQueues::others_run(std::size_t pair) const {
  const std::uint64_t running = running_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    if (i != pair && (running >> i & 1) != 0 && pairs_[i].receive.waits_since() == kNever) {
      return true;
    }
  }
  return false;
}

Instant NetQueues::room_at() const {
  Instant at = kNever;
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const Instant since = pairs_[i].receive.waits_since();
    if (since != kNever && others_run(i)) at = std::min(at, since + kReceivePatience);
  }
  return at;
}

[[gnu::cold]] void NetQueues::give_up_waits() {
  if (room_at() == kNever) return;
  const Instant now = shared_.clock();
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    ReceiveEnd& receive = pairs_[i].receive;
    if (receive.waits_since() == kNever || !others_run(i)) continue;
    const std::scoped_lock lock(receive.mutex());
    given_up_ += receive.give_up(now);
  }
}

// The caller looks by itself.
void NetQueues::wake_for_room(std::size_t caller) {
  if (shares_.size() == 1 || !shared_.emptied.load() || !shared_.emptied.exchange(false)) return;
  for (std::size_t worker = 0; worker < shares_.size(); ++worker) {
    std::atomic<bool>& waits = shares_[worker].waits_for_room;
    if (worker != caller && waits.load() && waits.exchange(false)) kicks_->wake(worker);
  }
}

}  // namespace sluice::link
