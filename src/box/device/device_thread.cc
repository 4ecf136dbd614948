#include "box/device/device_thread.h"

#include <pthread.h>

#include <array>
#include <span>

#include "base/unreachable.h"
#include "sys/event_fd.h"

namespace sluice::box {
namespace {

constexpr std::uint64_t kWakeTag = 0;

}  // namespace

void DeviceThread::Watch::change(std::uint32_t events) {
  if (thread_ == nullptr) return;
  Watcher& watcher = *thread_->watchers_.at(number_);
  if (watcher.events == events) return;
  watcher.events = events;
  (void)thread_->loop_.modify(watcher.fd, events, number_);
}

void DeviceThread::Watch::reset() {
  if (thread_ != nullptr) std::exchange(thread_, nullptr)->forget(number_);
}

std::expected<std::unique_ptr<DeviceThread>, sys::SysError> DeviceThread::create(
    sys::Kernel& kernel) {
  auto loop = sys::EventLoop::create(kernel);
  if (!loop) return std::unexpected(loop.error());
  UniqueFd wake = sys::open_event_fd();
  if (!wake.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  const auto added = loop->add(wake.get(), EPOLLIN, kWakeTag);
  if (!added) return std::unexpected(added.error());
  return std::unique_ptr<DeviceThread>(new DeviceThread(kernel, std::move(*loop), std::move(wake)));
}

DeviceThread::DeviceThread(sys::Kernel& kernel, sys::EventLoop loop, UniqueFd wake)
    : kernel_(kernel), loop_(std::move(loop)), wake_(std::move(wake)) {}

DeviceThread::~DeviceThread() { stop(); }

std::expected<DeviceThread::Watch, sys::SysError> DeviceThread::watch(int fd, std::uint32_t events,
                                                                      Ready ready) {
  const std::uint64_t number = next_number_++;
  const auto added = loop_.add(fd, events, number);
  if (!added) return std::unexpected(added.error());
  watchers_.emplace(number, std::make_unique<Watcher>(fd, events, std::move(ready)));
  return Watch(*this, number);
}

std::expected<DeviceThread::Watch, sys::SysError> DeviceThread::watch_interrupt(int eventfd,
                                                                                Call pulse) {
  return watch(eventfd, EPOLLIN, [this, eventfd, pulse = std::move(pulse)](std::uint32_t) {
    if (sys::drain(kernel_, eventfd)) pulse();
  });
}

void DeviceThread::forget(std::uint64_t number) {
  const auto found = watchers_.find(number);
  (void)loop_.remove(found->second->fd);
  forgotten_.push_back(std::move(found->second));
  watchers_.erase(found);
}

std::expected<void, sys::SetupError> DeviceThread::start(const Confine& confine) {
  state_ = State::kConfining;
  thread_ = std::thread([this, confine] { run(confine); });
  ::pthread_setname_np(thread_.native_handle(), "sluice-devices");
  std::unique_lock lock(lock_);
  changed_.wait(lock, [this] { return state_ != State::kConfining; });
  if (failure_) return std::unexpected(*failure_);
  return {};
}

void DeviceThread::run(const Confine& confine) {
  const auto confined = confine();
  {
    const std::lock_guard guard(lock_);
    if (!confined) failure_ = confined.error();
    state_ = confined ? State::kServing : State::kEnded;
    changed_.notify_all();
    if (!confined) return;
  }
  while (!stopping_) turn(kNever);
  {
    const std::lock_guard guard(lock_);
    state_ = State::kEnded;
  }
  // Whoever asked before that waits for it.
  run_calls();
}

void DeviceThread::turn(Instant deadline) {
  std::array<epoll_event, 16> events;
  const auto ready = loop_.wait(events, loop_.now(), deadline);
  if (!ready) unreachable("epoll of the devices' thread");
  for (const epoll_event& event : std::span(events).first(*ready)) {
    const std::uint64_t tag = event.data.u64;  // A copy: the structure is packed.
    if (tag == kWakeTag) {
      sys::drain(kernel_, wake_.get());
      run_calls();
      continue;
    }
    // One that was forgotten by another of this turn is not called.
    const auto found = watchers_.find(tag);
    if (found != watchers_.end()) found->second->ready(event.events);
  }
  forgotten_.clear();
}

void DeviceThread::run_calls() {
  {
    const std::lock_guard guard(lock_);
    running_.swap(calls_);
  }
  for (const Call& call : running_) {
    call();
    const std::lock_guard guard(lock_);
    ++done_;
    changed_.notify_all();
  }
  running_.clear();
}

void DeviceThread::wake() {
  const std::uint64_t one = 1;
  // Full, the counter wakes all the same.
  (void)kernel_.write(wake_.get(), &one, sizeof one);
}

void DeviceThread::ask(const Call& call) {
  {
    std::unique_lock lock(lock_);
    if (state_ == State::kServing && std::this_thread::get_id() != thread_.get_id()) {
      const std::uint64_t mine = ++posted_;
      calls_.push_back(call);
      wake();
      changed_.wait(lock, [&] { return done_ >= mine; });
      return;
    }
  }
  call();
}

void DeviceThread::post(Call call) {
  const std::lock_guard guard(lock_);
  ++posted_;
  calls_.push_back(std::move(call));
  wake();
}

void DeviceThread::stop() {
  if (!thread_.joinable()) return;
  post([this] { stopping_ = true; });
  thread_.join();
}

}  // namespace sluice::box
