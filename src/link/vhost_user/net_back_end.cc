#include "link/vhost_user/net_back_end.h"

#include <algorithm>
#include <array>

#include "link/vhost_user/queue_link.h"

namespace sluice::link {

std::expected<std::deque<Seat>, sys::SysError> NetBackEnd::open_seats(
    sys::Kernel& kernel, std::size_t workers, const virtio::NetDevice& device) {
  const std::size_t count =
      std::clamp<std::size_t>(workers, 1, std::max<std::size_t>(device.queue_pairs_max, 1));
  std::deque<Seat> seats;
  for (std::size_t i = 0; i < count; ++i) {
    auto seat = Seat::open(kernel);
    if (!seat) return std::unexpected(seat.error());
    seats.push_back(std::move(*seat));
  }
  return seats;
}

std::unique_ptr<Link> NetBackEnd::link(std::size_t worker) {
  return std::make_unique<QueueLink>(*this, worker);
}

void NetBackEnd::take_events(std::size_t worker) {
  std::array<epoll_event, 32> room;
  for (const epoll_event& event : seats_[worker].take(room)) {
    const std::uint64_t what = event.data.u64;
    if (what >= Seat::kRings) {
      queues_.on_kick(worker, what - Seat::kRings);
    } else if (worker == 0) {
      on_event(what);
    }
  }
}

void NetBackEnd::set_gone() {
  gone_ = true;
  for (std::size_t worker = 1; worker < seats_.size(); ++worker) wake(worker);
}

}  // namespace sluice::link
