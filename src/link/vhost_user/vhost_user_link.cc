#include "link/vhost_user/vhost_user_link.h"

namespace sluice::link {

VhostUserLink::~VhostUserLink() { back_end_.queues_.release(worker_); }

std::span<const int> VhostUserLink::descriptors() const {
  return {&back_end_.seats_[worker_].fd(), 1};
}

Link::Burst VhostUserLink::read_burst(Depth /*depth*/) {
  NetQueues& queues = back_end_.queues_;
  queues.release(worker_);
  burst_.clear();
  back_end_.take_events(worker_);
  NetQueues::Seen seen = queues.read(worker_, burst_);
  if (queues.broken()) [[unlikely]] {
    queues.release(worker_);
    burst_.clear();
    // It is the first one's to see to, who is woken for it.
    if (worker_ == 0) back_end_.on_broken();
    seen = {};
  }
  features_ = seen.features;
  back_end_.seats_[worker_].set_awake(seen.more);
  return {burst_.frames(), !burst_.full(), back_end_.gone()};
}

std::size_t VhostUserLink::write(const wire::FrameBatch& batch) {
  return back_end_.queues_.write(worker_, batch);
}

bool VhostUserLink::has_room() const { return back_end_.queues_.has_room(worker_); }

std::span<const MutableBytes> VhostUserLink::room_for(const RoomWanted& wanted) {
  // Otherwise somebody has to look at the bytes.
  if (!features_.checksum) return {};
  return back_end_.queues_.room_for(worker_, wanted);
}

void VhostUserLink::flush() { back_end_.queues_.release(worker_); }

}  // namespace sluice::link
