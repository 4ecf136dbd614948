// One event loop with everything it serves: listeners, TCP connections, UDP sessions. A worker
// shares with others only the LiveRules and its mailbox. It runs in a thread of its own.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <variant>
#include <vector>

#include "forward/log/session_log.h"
#include "forward/session/live_rule.h"
#include "forward/session/session_outbox.h"
#include "forward/session/session_record.h"
#include "forward/session/worker_context.h"
#include "forward/tcp/tcp_forwarder.h"
#include "forward/tcp/tcp_listeners.h"
#include "forward/tcp/tcp_to_udp.h"
#include "forward/udp/udp_forwarder.h"
#include "service/mailbox.h"
#include "service/reply.h"
#include "sys/kernel.h"
#include "sys/sys_error.h"

namespace sluice::forward {

// A listening socket of one worker. `id` is the supervisor's name for it, never used twice.
struct WorkerListener {
  std::uint64_t id = 0;
  std::shared_ptr<LiveRule> rule;
  std::uint16_t port = 0;         // The one it is bound to; 0 for UNIX sockets.
  std::uint16_t port_offset = 0;  // Into the rule's range of ports.
  sys::KernelFd socket;           // Bound and listening; empty when the worker has it already.
};

struct WorkerOptions {
  relay::Options relay;
  std::size_t pipes_max = relay::Pools::kPipesMax;  // This worker's part of them.
  UdpBounds udp;
  // Which one of the workers it is: sessions' numbers begin with it.
  std::uint16_t number = 0;
  // Written to (eventfd) after each answer to a request below. Not owned.
  int supervisor_event_fd = -1;
};

// An accepted connection that another worker serves, because it has fewer.
struct Rebalanced {
  ListenerRule listener;
  AcceptedClient client;
};

// Sessions of a worker, for people.
struct SessionPage {
  std::vector<SessionRecord> sessions;
  std::optional<std::uint64_t> next;  // Where to go on; nothing: these were the last.
};

class Worker final : private AcceptSink {
 public:
  // By the upper bits of a session's number: whose it is.
  static constexpr unsigned kNumberBits = 48;

  // The error is that of the first descriptor it could not open.
  [[nodiscard]] static std::expected<std::unique_ptr<Worker>, sys::SysError> create(
      sys::Kernel& kernel, const WorkerOptions& options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // The thread's body. Returns after stop(), or when a drain is complete.
  void run();

  // --- From any thread; carried out in the worker's next turn, in order. ---

  // From now on these are all its listeners: those with an unknown id are taken over, those it has
  // get the rule given here for new sessions, those not listed are closed (what waits in their
  // queue is accepted first). Sessions are never cut. A null `log`: sessions are not logged.
  void apply(std::vector<WorkerListener> listeners, std::shared_ptr<LogFile> log);
  // No new sessions: closes all listeners and ends, by run() returning, when the last session
  // has ended. UDP sessions without traffic for a second count as ended.
  void drain();
  // Cuts what is left; run() returns.
  void stop();
  // Adds the bytes of open sessions to the counters, so that they are true now.
  void publish_counters();

  // At most `most` of its sessions from a place on, which is 0 or the one of the page before. It
  // takes a share of a turn.
  using PageReply = service::Reply<SessionPage>;
  [[nodiscard]] std::shared_ptr<PageReply> list(std::uint64_t from, std::size_t most);
  // Ends a session at once. The answer is false where there is no such session.
  using KillReply = service::Reply<bool>;
  [[nodiscard]] std::shared_ptr<KillReply> kill(std::uint64_t session);
  // What its sessions do, while somebody wants to know. The supervisor's event is rung for news.
  [[nodiscard]] SessionOutbox& outbox() { return outbox_; }

  // How many requests of the first four above were carried out: compare with how many were made.
  [[nodiscard]] std::uint64_t answered() const { return answered_.load(std::memory_order_acquire); }
  // run() has returned, or is about to.
  [[nodiscard]] bool has_ended() const { return ended_.load(std::memory_order_acquire); }
  // Open now; relaxed.
  [[nodiscard]] std::uint32_t sessions() const { return sessions_.load(std::memory_order_relaxed); }

  // All workers, this one among them: accepted connections are evened out between them. Set before
  // run(); they outlive each other's run().
  void set_peers(std::span<Worker* const> all) { peers_.assign(all.begin(), all.end()); }

 private:
  struct Apply {
    std::vector<WorkerListener> listeners;
    std::shared_ptr<LogFile> log;
  };
  struct Drain {};
  struct Stop {};
  struct Publish {};
  struct List {
    std::uint64_t from;
    std::size_t most;
    std::shared_ptr<PageReply> reply;
  };
  struct Kill {
    std::uint64_t session;
    std::shared_ptr<KillReply> reply;
  };
  using Message = std::variant<Apply, Drain, Stop, Publish, List, Kill, Rebalanced>;

  enum class State : std::uint8_t { kServing, kDraining, kStopped };

  // What the worker knows of a listener beside the part that owns it.
  struct Known {
    SlabHandle handle{};
    bool udp = false;
    bool listed = false;  // In the Apply that is being carried out.
  };

  Worker(sys::Kernel& kernel, sys::EventLoop loop, const WorkerOptions& options);

  void turn();
  void dispatch(const epoll_event& event);
  void run_timers();
  void read_mail();
  void carry_out(Apply& apply);
  void carry_out(Drain&);
  void carry_out(Stop&) { state_ = State::kStopped; }
  void carry_out(Publish&);
  void carry_out(List& list);
  void carry_out(Kill& kill);
  void carry_out(Rebalanced& handed);
  void add_listener(WorkerListener listener);
  void set_rule(const Known& known, std::shared_ptr<LiveRule> rule);
  void close_listener(const Known& known);
  void answer();
  void accepted(const ListenerRule& listener, AcceptedClient client) override;
  [[nodiscard]] Worker* less_busy_peer();
  [[nodiscard]] Instant next_deadline();
  [[nodiscard]] bool drained();
  void end_all();

  sys::EventLoop loop_;
  TimerWheel timers_;
  relay::Pools pools_;
  host::DatagramScratch scratch_;
  SessionLog log_;
  SessionOutbox outbox_;
  WorkerContext context_;
  TcpToUdp to_udp_;
  TcpForwarder tcp_;
  TcpListeners listeners_;
  UdpForwarder udp_;
  std::unordered_map<std::uint64_t, Known> known_;
  std::vector<Worker*> peers_;
  service::Mailbox<Message> mailbox_;
  std::array<epoll_event, 256> events_{};
  State state_ = State::kServing;
  Instant next_quiet_check_{};  // While draining.
  int supervisor_event_fd_;
  std::size_t events_seen_ = 0;  // In the last turn.
  bool pending_ = false;         // Something used up its share of the last turn.
  std::atomic<std::uint64_t> answered_{0};
  std::atomic<std::uint32_t> sessions_{0};
  std::atomic<bool> ended_{false};
};

}  // namespace sluice::forward
