// One event loop with everything it serves: listeners, TCP connections, UDP sessions. A worker
// shares with others only the LiveRules and its mailbox. It runs in a thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "forward/live_rule.h"
#include "forward/session_log.h"
#include "host/kernel.h"
#include "host/sys_error.h"

namespace sluice::forward {

// A listening socket of one worker. `id` is the supervisor's name for it, never used twice.
struct WorkerListener {
  std::uint64_t id = 0;
  std::shared_ptr<LiveRule> rule;
  std::uint16_t port = 0;         // The one it is bound to; 0 for UNIX sockets.
  std::uint16_t port_offset = 0;  // Into the rule's range of ports.
  host::KernelFd socket;          // Bound and listening; empty when the worker has it already.
};

struct WorkerOptions {
  relay::Options relay;
  // Written to (eventfd) after each answer to a request below. Not owned.
  int supervisor_event_fd = -1;
};

class Worker {
 public:
  [[nodiscard]] static std::expected<std::unique_ptr<Worker>, host::SysError> create(
      host::Kernel& kernel, const WorkerOptions& options);
  ~Worker();

  // The thread's body. Returns after stop(), or when a drain is complete.
  void run();

  // --- From any thread; carried out in the worker's next turn, in order. ---

  // From now on these are all its listeners: those with an unknown id are taken over, those it has
  // get the rule given here for new sessions, those not listed are closed (what waits in their
  // queue is accepted first). Sessions are never cut.
  void apply(std::vector<WorkerListener> listeners, std::shared_ptr<LogFile> log);
  // No new sessions: closes all listeners and ends, by run() returning, when the last session
  // has ended. UDP sessions without traffic for a second count as ended.
  void drain();
  // Cuts what is left; run() returns.
  void stop();
  // Adds the bytes of open sessions to the counters, so that they are true now.
  void publish_counters();

  // How many requests of the four above were carried out: compare with how many were made.
  [[nodiscard]] std::uint64_t answered() const;
  [[nodiscard]] bool has_ended() const;          // run() has returned, or is about to.
  [[nodiscard]] std::uint32_t sessions() const;  // Open now; relaxed.

  // Workers between which accepted connections are evened out. Set before run().
  void set_peers(std::span<Worker* const> all);
};

}  // namespace sluice::forward
