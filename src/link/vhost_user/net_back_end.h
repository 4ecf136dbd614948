// A network device whose queues lie in a guest's memory, as its workers have it: the queues, and a
// link with a seat for each worker. Who speaks for the guest's side derives from it: a front-end of
// vhost-user (vhost_user_back_end.h), or a monitor in this process (direct/direct_net.h).
//
// Links are used by their workers' threads at once. What concerns all of them is the first one's,
// in its turns.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>

#include "link/link.h"
#include "link/shared/seat.h"
#include "link/vhost_user/net_queues.h"
#include "sys/kernel.h"

namespace sluice::link {

class NetBackEnd : private NetQueues::Kicks {
 public:
  NetBackEnd(const NetBackEnd&) = delete;
  NetBackEnd& operator=(const NetBackEnd&) = delete;
  virtual ~NetBackEnd() = default;

  [[nodiscard]] std::size_t workers() const { return seats_.size(); }
  // Of one worker, made once. It is gone before this is.
  [[nodiscard]] std::unique_ptr<Link> link(std::size_t worker);

 protected:
  // So many as there are pairs of queues, at most.
  [[nodiscard]] static std::expected<std::deque<Seat>, sys::SysError> open_seats(
      sys::Kernel& kernel, std::size_t workers, const virtio::NetDevice& device);

  NetBackEnd(sys::Kernel& kernel, std::deque<Seat> seats, const virtio::NetDevice& device,
             NetQueues::Tell tell)
      : seats_(std::move(seats)),
        queues_(kernel, *this,
                {.device = device, .workers = seats_.size(), .tell = std::move(tell)}) {}

  // In the first worker's turn. `what` is an event's, which is no ring's.
  virtual void on_event(std::uint64_t what) = 0;
  // The guest's memory was cut short.
  virtual void on_broken() = 0;
  // The guest broke a ring of its own, which is served no more. From any worker's thread.
  virtual void on_ring_broken() {}

  [[nodiscard]] NetQueues& queues() { return queues_; }
  [[nodiscard]] Seat& first_seat() { return seats_.front(); }
  [[nodiscard]] bool gone() const { return gone_.load(std::memory_order_relaxed); }
  // The links are gone, each after what it has.
  void set_gone();

 private:
  friend class QueueLink;

  [[nodiscard]] bool watch(std::size_t worker, std::size_t ring, int fd) override {
    return seats_[worker].watch_ring(ring, fd);
  }
  void unwatch(std::size_t worker, int fd) override { seats_[worker].unwatch(fd); }
  void wake(std::size_t worker) override { seats_[worker].wake(); }
  void broke() override { on_ring_broken(); }
  // For a worker's link, in its turn.
  void take_events(std::size_t worker);

  std::deque<Seat> seats_;
  std::atomic<bool> gone_{false};
  NetQueues queues_;
};

}  // namespace sluice::link
