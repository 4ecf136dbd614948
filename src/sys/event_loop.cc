#include "sys/event_loop.h"

#include <algorithm>
#include <climits>

#include "sys/steady_clock.h"

namespace sluice::sys {

std::expected<EventLoop, SysError> EventLoop::create(Kernel& kernel) {
  const int fd = kernel.epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return std::unexpected(last_error(SysOp::kEpollCreate));
  return EventLoop(KernelFd(kernel, fd));
}

std::expected<void, SysError> EventLoop::control(int operation, int fd, std::uint32_t events,
                                                 std::uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (fd_.kernel().epoll_ctl(fd_.get(), operation, fd, &event) == 0) return {};
  return std::unexpected(last_error(SysOp::kEpollCtl));
}

std::expected<void, SysError> EventLoop::add(int fd, std::uint32_t events, std::uint64_t tag) {
  return control(EPOLL_CTL_ADD, fd, events, tag);
}

std::expected<void, SysError> EventLoop::modify(int fd, std::uint32_t events, std::uint64_t tag) {
  return control(EPOLL_CTL_MOD, fd, events, tag);
}

std::expected<void, SysError> EventLoop::remove(int fd) { return control(EPOLL_CTL_DEL, fd, 0, 0); }

std::expected<std::size_t, SysError> EventLoop::wait(std::span<epoll_event> events, Instant now,
                                                     Instant deadline) {
  timespec timeout{};
  if (deadline > now) {
    const Duration left = deadline - now;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    timeout.tv_sec = static_cast<time_t>(seconds.count());
    timeout.tv_nsec = static_cast<long>((left - seconds).count());
  }
  const int count = static_cast<int>(std::min<std::size_t>(events.size(), INT_MAX));
  const int ready = fd_.kernel().epoll_pwait2(fd_.get(), events.data(), count,
                                              deadline == kNever ? nullptr : &timeout);
  if (ready >= 0) return static_cast<std::size_t>(ready);
  if (errno == EINTR) return std::size_t{0};
  return std::unexpected(last_error(SysOp::kEpollWait));
}

Instant EventLoop::now() const { return steady_now(fd_.kernel()); }

}  // namespace sluice::sys
