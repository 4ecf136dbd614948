// The thread in which a machine's slow devices work: console, entropy, file systems, and what
// their other ends are on the host. One event loop; what belongs to it is touched by nobody else.
// Threads of vCPUs have it do something and wait for the end of that (ask()), so that nothing of a
// device is under way when a reset returns.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"
#include "sys/setup_error.h"

namespace sluice::box {

class DeviceThread {
 public:
  // How the thread gives up what it may not have while it works.
  using Confine = std::function<std::expected<void, sys::SetupError>()>;
  using Ready = std::function<void(std::uint32_t events)>;  // EPOLLIN, ...
  using Call = std::function<void()>;

  // A descriptor that the loop waits for; forgotten when this goes. Used in the thread, or while
  // there is none; the thread's object outlives it.
  class Watch {
   public:
    Watch() = default;
    Watch(Watch&& other) noexcept
        : thread_(std::exchange(other.thread_, nullptr)), number_(other.number_) {}
    Watch& operator=(Watch&& other) noexcept {
      std::swap(thread_, other.thread_);
      std::swap(number_, other.number_);
      return *this;
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() { reset(); }

    [[nodiscard]] bool valid() const { return thread_ != nullptr; }
    // What to wait for from here on; zero: nothing but the other end's errors.
    void change(std::uint32_t events);
    // The descriptor is still open.
    void reset();

   private:
    friend class DeviceThread;
    Watch(DeviceThread& thread, std::uint64_t number) : thread_(&thread), number_(number) {}

    DeviceThread* thread_ = nullptr;
    std::uint64_t number_ = 0;
  };

  // The kernel is not owned.
  [[nodiscard]] static std::expected<std::unique_ptr<DeviceThread>, sys::SysError> create(
      sys::Kernel& kernel);
  DeviceThread(const DeviceThread&) = delete;
  DeviceThread& operator=(const DeviceThread&) = delete;
  ~DeviceThread();

  [[nodiscard]] sys::Kernel& kernel() const { return kernel_; }
  // Level-triggered. EPERM: a descriptor that never lets anybody wait, as a file's.
  [[nodiscard]] std::expected<Watch, sys::SysError> watch(int fd, std::uint32_t events,
                                                          Ready ready);
  // In place of KVM_IRQFD: calls `pulse` once for each time that the eventfd was found written.
  [[nodiscard]] std::expected<Watch, sys::SysError> watch_interrupt(int eventfd, Call pulse);

  // Returns once the thread works, confined, or could not be. Signals are blocked by now, as
  // threads inherit that.
  [[nodiscard]] std::expected<void, sys::SetupError> start(const Confine& confine);
  // What was posted is done first. No vCPU asks any more.
  void stop();

  // Does it in the thread, between two events, and returns when it is done; at once where there is
  // no thread, or this is it.
  void ask(const Call& call);
  // Does it in the thread, soon. From the thread itself: in the next turn, behind what is ready.
  void post(Call call);

  // One turn, for those who have no thread.
  void turn(Instant deadline);

 private:
  enum class State : std::uint8_t { kIdle, kConfining, kServing, kEnded };
  struct Watcher {
    int fd;
    std::uint32_t events;
    Ready ready;
  };

  DeviceThread(sys::Kernel& kernel, sys::EventLoop loop, UniqueFd wake);
  void run(const Confine& confine);
  void run_calls();
  void wake();
  void forget(std::uint64_t number);

  sys::Kernel& kernel_;
  sys::EventLoop loop_;
  UniqueFd wake_;
  bool stopping_ = false;  // The thread's own, as the next four.
  std::uint64_t next_number_ = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<Watcher>> watchers_;
  // One may forget itself while it is called.
  std::vector<std::unique_ptr<Watcher>> forgotten_;
  std::vector<Call> running_;

  std::mutex lock_;  // For what follows.
  std::condition_variable changed_;
  State state_ = State::kIdle;
  std::optional<sys::SetupError> failure_;
  std::vector<Call> calls_;
  std::uint64_t posted_ = 0;
  std::uint64_t done_ = 0;

  std::thread thread_;
};

}  // namespace sluice::box
