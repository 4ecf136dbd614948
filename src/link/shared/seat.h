// What one worker's link watches: an epoll with the kicks of its rings, with what its owner adds,
// and with two descriptors by which it is woken. One thread's, but for wake().
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <expected>
#include <span>

#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::link {

class Seat {
 public:
  // What an event is about: somebody woke us; the owner's own, from kOwners on; rings.
  static constexpr std::uint64_t kWake = 0;
  static constexpr std::uint64_t kOwners = 1;
  static constexpr std::uint64_t kRings = 16;

  // The kernel is not owned.
  [[nodiscard]] static std::expected<Seat, sys::SysError> open(sys::Kernel& kernel);

  // The same for its life; readable while there are events.
  [[nodiscard]] const int& fd() const { return fd_; }
  [[nodiscard]] sys::EventLoop& loop() { return loop_; }
  // An event for each time it becomes readable: the descriptor need not be read.
  [[nodiscard]] bool watch_ring(std::size_t ring, int fd) {
    return loop_.add(fd, EPOLLIN | EPOLLET, kRings + ring).has_value();
  }
  void unwatch(int fd) { (void)loop_.remove(fd); }
  // Those that are there; none is waited for.
  [[nodiscard]] std::span<const epoll_event> take(std::span<epoll_event> room);
  // An event for it, from any thread.
  void wake() const;
  // Whether it is readable whatever else happens.
  void set_awake(bool awake);

 private:
  Seat(sys::Kernel& kernel, sys::EventLoop loop, sys::KernelFd more, sys::KernelFd call)
      : kernel_(&kernel),
        loop_(std::move(loop)),
        fd_(loop_.fd()),
        more_(std::move(more)),
        call_(std::move(call)) {}

  sys::Kernel* kernel_;
  sys::EventLoop loop_;
  int fd_;
  sys::KernelFd more_;  // An eventfd; readable while there is more to be read without a kick.
  sys::KernelFd call_;  // An eventfd by which other threads wake this one; never read.
  bool awake_ = false;  // `more_` is readable.
};

}  // namespace sluice::link
