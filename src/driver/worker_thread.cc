#include "driver/worker_thread.h"

#include <fmt/core.h>
#include <pthread.h>

#include <string>
#include <utility>

namespace sluice::driver {

std::expected<std::unique_ptr<WorkerThread>, sys::SysError> WorkerThread::create(
    sys::Kernel& kernel, WorkerOptions options) {
  auto loop = sys::EventLoop::create(kernel);
  if (!loop) return std::unexpected(loop.error());
  return std::unique_ptr<WorkerThread>(
      new WorkerThread(kernel, std::move(*loop), std::move(options)));
}

WorkerThread::WorkerThread(sys::Kernel& kernel, sys::EventLoop loop, WorkerOptions options)
    : group_(options.member->group()),
      index_(options.member->share().worker),
      loop_(std::move(loop)),
      worker_(kernel, loop_, std::move(options)) {}

WorkerThread::~WorkerThread() { stop(); }

void WorkerThread::set_state(State state) {
  {
    const std::lock_guard guard(lock_);
    state_ = state;
  }
  changed_.notify_all();
}

std::expected<void, sys::SetupError> WorkerThread::start(const Confine& confine) {
  thread_ = std::thread([this, confine] { run(confine); });
  const std::string name = fmt::format("sluice-w{}", index_);
  ::pthread_setname_np(thread_.native_handle(), name.c_str());
  std::unique_lock lock(lock_);
  changed_.wait(lock, [this] { return state_ != State::kConfining; });
  if (failure_) return std::unexpected(*failure_);
  return {};
}

void WorkerThread::run(const Confine& confine) {
  const auto confined = confine();
  {
    std::unique_lock lock(lock_);
    if (!confined) failure_ = confined.error();
    state_ = State::kReady;
    changed_.notify_all();
    changed_.wait(lock, [this] { return state_ != State::kReady; });
    if (state_ == State::kEnded) return;
  }
  // What is known of the host comes before the guest's first frame.
  worker_.read_inbox(*this);
  while (!stopping_) worker_.turn(kNever, *this);
}

void WorkerThread::go() { set_state(State::kServing); }

void WorkerThread::ask(Call call) {
  if (!thread_.joinable()) {
    call(worker_, *this);
    return;
  }
  {
    const std::lock_guard guard(lock_);
    ++asked_;
  }
  group_.inbox(index_).post(
      WorkerCall{[this, call = std::move(call)](Worker& worker, Outside& out) {
        call(worker, out);
        const std::lock_guard guard(lock_);
        ++done_;
        changed_.notify_all();
      }},
      0);
}

void WorkerThread::await() {
  std::unique_lock lock(lock_);
  changed_.wait(lock, [this] { return done_ == asked_; });
}

void WorkerThread::stop() {
  if (!thread_.joinable()) return;
  bool serving = false;
  {
    const std::lock_guard guard(lock_);
    serving = state_ == State::kServing;
  }
  if (serving) {
    ask([this](Worker&, Outside&) { stopping_ = true; });
  } else {
    set_state(State::kEnded);
  }
  thread_.join();
}

void WorkerThread::on_link_gone() { group_.inbox(0).post(LinkGone{}, 0); }

}  // namespace sluice::driver
