// The workers, each in a thread of its own, as the supervisor sees them. Used by its thread only.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "forward/log/session_log.h"
#include "forward/worker/worker.h"
#include "relay/options.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::forward {

// Of each worker, where the process may have so many descriptors (0: not known).
[[nodiscard]] UdpBounds udp_bounds(std::uint64_t descriptors, std::uint32_t workers);

class WorkerPool {
 public:
  [[nodiscard]] static std::expected<std::unique_ptr<WorkerPool>, sys::SysError> create(
      sys::Kernel& kernel, std::uint32_t count, const relay::Options& relay);
  // Cuts what is left and waits for the threads.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Threads "sluice-w0", …; signals must be blocked by now, since threads inherit that.
  void start();

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(workers_.size()); }
  // Readable when a worker has answered or ended: then call on_readable().
  [[nodiscard]] int fd() const { return event_.get(); }
  void on_readable();

  // Requests, as Worker has them. One list of listeners for each worker.
  void apply(std::vector<std::vector<WorkerListener>> listeners,
             const std::shared_ptr<LogFile>& log);
  void drain();
  void stop();
  void publish_counters();

  // All of them; they are there as long as this is.
  [[nodiscard]] std::span<Worker* const> workers() const { return peers_; }

  [[nodiscard]] bool all_answered() const;
  [[nodiscard]] bool all_ended() const;
  [[nodiscard]] std::uint32_t sessions() const;

 private:
  explicit WorkerPool(UniqueFd event) : event_(std::move(event)) {}

  UniqueFd event_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> peers_;
  std::vector<std::thread> threads_;
  std::uint64_t requests_ = 0;
};

}  // namespace sluice::forward
