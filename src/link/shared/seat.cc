#include "link/shared/seat.h"

#include <utility>

#include "sys/event_fd.h"

namespace sluice::link {

std::expected<Seat, sys::SysError> Seat::open(sys::Kernel& kernel) {
  auto loop = sys::EventLoop::create(kernel);
  if (!loop) return std::unexpected(loop.error());
  sys::KernelFd more(kernel, sys::open_event_fd().release());
  sys::KernelFd call(kernel, sys::open_event_fd().release());
  if (!more.valid() || !call.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  if (auto added = loop->add(more.get(), EPOLLIN, kWake); !added) {
    return std::unexpected(added.error());
  }
  // An event for each call.
  if (auto added = loop->add(call.get(), EPOLLIN | EPOLLET, kWake); !added) {
    return std::unexpected(added.error());
  }
  return Seat(kernel, std::move(*loop), std::move(more), std::move(call));
}

std::span<const epoll_event> Seat::take(std::span<epoll_event> room) {
  return room.first(loop_.wait(room, Instant{}, Instant{}).value_or(0));
}

void Seat::wake() const { sys::ring(*kernel_, call_.get()); }

void Seat::set_awake(bool awake) {
  if (awake == awake_) return;
  awake_ = awake;
  if (awake) {
    sys::ring(*kernel_, more_.get());
  } else {
    sys::drain(*kernel_, more_.get());
  }
}

}  // namespace sluice::link
