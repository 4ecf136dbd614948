// Room for frames in a guest's own buffers, from where they are given to where they are written.
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

}  // namespace sluice::link
