// epoll with nanosecond deadlines. No timer descriptors: timers are the deadline of wait().
// Owns the epoll descriptor. Not thread-safe.
#pragma once

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "base/time.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::sys {

class EventLoop {
 public:
  [[nodiscard]] static std::expected<EventLoop, SysError> create(Kernel& kernel);

  // `events` are EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLET, ...; `tag` comes back in
  // epoll_event.data.u64.
  [[nodiscard]] std::expected<void, SysError> add(int fd, std::uint32_t events, std::uint64_t tag);
  [[nodiscard]] std::expected<void, SysError> modify(int fd, std::uint32_t events,
                                                     std::uint64_t tag);
  // Only for descriptors that stay open; closing one removes it.
  [[nodiscard]] std::expected<void, SysError> remove(int fd);

  // Waits until an event or the deadline; kNever has none, one in the past only polls. `now` is
  // the caller's current time. Returns how many events were filled; zero at the deadline or when
  // a signal came.
  [[nodiscard]] std::expected<std::size_t, SysError> wait(std::span<epoll_event> events,
                                                          Instant now, Instant deadline);

  // Readable while an event waits; for a loop within another.
  [[nodiscard]] int fd() const { return fd_.get(); }

  // CLOCK_MONOTONIC.
  [[nodiscard]] Instant now() const;

 private:
  explicit EventLoop(KernelFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] std::expected<void, SysError> control(int operation, int fd, std::uint32_t events,
                                                      std::uint64_t tag);

  KernelFd fd_;
};

}  // namespace sluice::sys
