#include "box/echo_threads.h"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sluice::bench {

UniqueFd make_eventfd() { return UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

void write_eventfd(int fd) {
  const std::uint64_t one = 1;
  (void)!::write(fd, &one, sizeof one);
}

void read_eventfd(int fd) {
  std::uint64_t count = 0;
  (void)!::read(fd, &count, sizeof count);
}

void pin_to(unsigned which) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || which-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

WaitingThread::WaitingThread(std::vector<int> watched, bool pinned, std::function<void(int)> turn)
    : turn_(std::move(turn)), thread_([this, pinned, watched = std::move(watched)] {
        if (pinned) pin_to(0);
        wait(watched);
      }) {}

WaitingThread::~WaitingThread() {
  write_eventfd(stop_.get());
  thread_.join();
}

std::uint64_t WaitingThread::cpu_ns() {
  clockid_t clock{};
  timespec spent{};
  if (::pthread_getcpuclockid(thread_.native_handle(), &clock) != 0) return 0;
  ::clock_gettime(clock, &spent);
  return static_cast<std::uint64_t>(spent.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(spent.tv_nsec);
}

void WaitingThread::wait(const std::vector<int>& watched) const {
  const UniqueFd poll(::epoll_create1(EPOLL_CLOEXEC));
  const auto watch = [&](int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    (void)::epoll_ctl(poll.get(), EPOLL_CTL_ADD, fd, &event);
  };
  watch(stop_.get());
  std::ranges::for_each(watched, watch);
  std::array<epoll_event, 8> events{};
  for (;;) {
    const int count = ::epoll_wait(poll.get(), events.data(), events.size(), -1);
    if (count < 0 && errno != EINTR) return;
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == stop_.get()) return;
      turn_(fd);
    }
  }
}

void Echo::turn() {
  std::unique_lock<std::mutex> held;
  if (plan_.lock != nullptr) held = std::unique_lock(*plan_.lock);
  const link::Link::Burst burst = link_.read_burst(link::Link::Depth::kAsExpected);
  batch_.clear();
  for (const wire::FrameIn& frame : burst.frames) {
    const ByteView whole = frame.whole();
    std::ranges::copy(whole, batch_.add(whole.size(), {}, {}).begin());
    if (!plan_.each) continue;
    (void)link_.write(batch_);
    batch_.clear();
  }
  if (!plan_.each && !burst.frames.empty()) (void)link_.write(batch_);
  link_.flush();
}

bool FrameRing::push(ByteView frame) {
  const std::size_t at = written_.load(std::memory_order_relaxed);
  if (at - read_.load(std::memory_order_acquire) == kSlots || frame.size() > kFrameMax) {
    return false;
  }
  Slot& slot = slots_[at % kSlots];
  slot.size = frame.size();
  std::ranges::copy(frame, slot.bytes.begin());
  written_.store(at + 1, std::memory_order_release);
  return true;
}

bool FrameRing::pop(std::vector<std::uint8_t>& into) {
  const std::size_t at = read_.load(std::memory_order_relaxed);
  if (at == written_.load(std::memory_order_acquire)) return false;
  const Slot& slot = slots_[at % kSlots];
  into.assign(slot.bytes.begin(), slot.bytes.begin() + static_cast<std::ptrdiff_t>(slot.size));
  read_.store(at + 1, std::memory_order_release);
  return true;
}

HandOff::HandOff(link::Link& link, bool pinned) : link_(link) {
  engine_ = std::make_unique<WaitingThread>(std::vector{engine_bell_.get()}, pinned,
                                            [this](int) { engine_turn(); });
  std::vector<int> watched(link.descriptors().begin(), link.descriptors().end());
  watched.push_back(device_bell_.get());
  device_ = std::make_unique<WaitingThread>(std::move(watched), pinned,
                                            [this](int fd) { device_turn(fd); });
}

void HandOff::device_turn(int fd) {
  if (fd == device_bell_.get()) {
    read_eventfd(fd);
    batch_.clear();
    while (to_device_.pop(device_frame_)) {
      std::ranges::copy(device_frame_, batch_.add(device_frame_.size(), {}, {}).begin());
    }
    (void)link_.write(batch_);
  } else {
    const link::Link::Burst burst = link_.read_burst(link::Link::Depth::kAsExpected);
    bool any = false;
    for (const wire::FrameIn& frame : burst.frames) any |= to_engine_.push(frame.whole());
    if (any) write_eventfd(engine_bell_.get());
  }
  link_.flush();
}

void HandOff::engine_turn() {
  read_eventfd(engine_bell_.get());
  bool any = false;
  while (to_engine_.pop(engine_frame_)) any |= to_device_.push(engine_frame_);
  if (any) write_eventfd(device_bell_.get());
}

}  // namespace sluice::bench
