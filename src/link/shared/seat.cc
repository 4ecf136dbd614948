#include "link/shared/seat.h"

#include <sys/eventfd.h>

#include <utility>

namespace sluice::link {

std::expected<Seat, sys::SysError> Seat::open(sys::Kernel& kernel) {
  auto loop = sys::EventLoop::create(kernel);
  if (!loop) return std::unexpected(loop.error());
  sys::KernelFd more(kernel, ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  sys::KernelFd call(kernel, ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
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

void Seat::wake() const {
  const std::uint64_t one = 1;
  (void)kernel_->write(call_.get(), &one, sizeof one);
}

void Seat::set_awake(bool awake) {
  if (awake == awake_) return;
  awake_ = awake;
  std::uint64_t count = 1;
  if (awake) {
    (void)kernel_->write(more_.get(), &count, sizeof count);
  } else {
    (void)kernel_->read(more_.get(), &count, sizeof count);
  }
}

}  // namespace sluice::link
