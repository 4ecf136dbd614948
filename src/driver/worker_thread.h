// A worker of a group in a thread of its own: every one but the first, which runs in the thread of
// whoever serves the guest. Used by that one only.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "driver/worker.h"
#include "sys/event_loop.h"
#include "sys/setup_error.h"

namespace sluice::driver {

class WorkerThread final : private Outside {
 public:
  // How a thread gives up what it may not have while it serves.
  using Confine = std::function<std::expected<void, sys::SetupError>()>;
  using Call = std::function<void(Worker&, Outside&)>;

  // Its options have a member's place. The kernel is not owned.
  [[nodiscard]] static std::expected<std::unique_ptr<WorkerThread>, sys::SysError> create(
      sys::Kernel& kernel, WorkerOptions options);
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;
  ~WorkerThread();

  // Before start() and after stop().
  [[nodiscard]] Worker& worker() { return worker_; }
  // Returns once the thread has confined itself, or could not. It serves from go() on. Signals are
  // blocked by now, as threads inherit that.
  [[nodiscard]] std::expected<void, sys::SetupError> start(const Confine& confine);
  void go();
  // Has the thread make a call between two of its events; at once where there is none. What came
  // into its inbox before is carried out first.
  void ask(Call call);
  // Returns when all that was asked is done.
  void await();
  // Its last turn ends, and so does the thread.
  void stop();

 private:
  enum class State : std::uint8_t { kConfining, kReady, kServing, kEnded };

  WorkerThread(sys::Kernel& kernel, sys::EventLoop loop, WorkerOptions options);
  void run(const Confine& confine);
  void set_state(State state);
  void on_ready(std::uint32_t) override {}
  void on_link_gone() override;

  Group& group_;
  const std::uint32_t index_;
  sys::EventLoop loop_;
  Worker worker_;
  bool stopping_ = false;  // The thread's own.

  std::mutex lock_;  // For what follows.
  std::condition_variable changed_;
  State state_ = State::kConfining;
  std::optional<sys::SetupError> failure_;
  std::uint64_t asked_ = 0;
  std::uint64_t done_ = 0;

  std::thread thread_;
};

}  // namespace sluice::driver
