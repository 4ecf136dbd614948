#include "link/vhost_user/queue_link.h"

namespace sluice::link {

QueueLink::~QueueLink() { back_end_.queues_.release(worker_); }

std::span<const int> QueueLink::descriptors() const { return {&back_end_.seats_[worker_].fd(), 1}; }

Link::Burst QueueLink::read_burst(Depth /*depth*/) {
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

std::size_t QueueLink::write(const wire::FrameBatch& batch) {
  return back_end_.queues_.write(worker_, batch);
}

bool QueueLink::has_room() const { return back_end_.queues_.has_room(worker_); }

std::span<const MutableBytes> QueueLink::room_for(const RoomWanted& wanted) {
  // Otherwise somebody has to look at the bytes.
  if (!features_.checksum) return {};
  return back_end_.queues_.room_for(worker_, wanted);
}

void QueueLink::flush() { back_end_.queues_.release(worker_); }

}  // namespace sluice::link
