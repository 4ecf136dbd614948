// Active health checks of targets: a connect every interval; `rise` successes in a row bring a
// target up, `fall` failures take it down (TargetSet::set_up). Targets begin as up. Runs in the
// supervisor's loop.
//
// A check connects to all addresses of a target at once, at the first port of a range; one that
// answers is enough. A name without an address is not checked: it is not used either. A lack of
// descriptors is no failure of the target's. UDP targets cannot be checked by a connect.
//
// Where a rule puts PROXY headers in front of its sessions, a check says in one that it speaks for
// itself (version 2 LOCAL, version 1 UNKNOWN): the target then has no half request to complain of.
//
// A connection that was made is reset, not closed: otherwise each check would leave a socket in
// TIME-WAIT for a minute here, and the target would have to see an end of stream before it could
// let go. Servers that log connections log either.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/prng.h"
#include "base/time.h"
#include "forward/session/live_rule.h"
#include "host/tcp_socket.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"

namespace sluice::forward {

class HealthChecks {
 public:
  // Events of its sockets carry `tag_base` | a 32-bit number of its own. The seed spreads checks
  // in time; nothing: drawn from the system.
  HealthChecks(sys::Kernel& kernel, sys::EventLoop& loop, std::uint64_t tag_base,
               std::optional<std::uint64_t> seed = std::nullopt);
  ~HealthChecks();

  // Checks this rule's targets, if it asks for it, as long as the rule lives (it is not held
  // alive). A rule that is watched already goes on as it did. The first check of each target comes
  // within one interval.
  void watch(const std::shared_ptr<LiveRule>& rule, Instant now);
  void on_event(std::uint32_t number, std::uint32_t events, Instant now);
  void on_time(Instant now);
  [[nodiscard]] Instant next_deadline() const;

 private:
  using CheckId = std::uint64_t;  // Never used twice.

  struct Check {
    std::weak_ptr<LiveRule> rule;
    std::uint32_t target = 0;
    std::uint32_t streak = 0;  // Results in a row that contradict what the target is held for.
    bool running = false;
    int last_error = 0;  // errno of the latest failed connect.
    Instant next_start{};
    Instant wake_at{};  // Its place in schedule_: the next start, or the timeout when running.
    std::map<std::uint32_t, host::TcpSocket> probes;  // By number; connecting.
  };
  enum class Started : std::uint8_t { kConnected, kConnecting, kFailed, kNoDescriptor };

  void add(const std::shared_ptr<LiveRule>& rule, std::uint32_t target, Instant now);
  void start(CheckId id, Check& check, Instant now);
  [[nodiscard]] Started probe(CheckId id, Check& check, const LiveRule& rule,
                              const std::optional<wire::Endpoint>& endpoint);
  // A target that accepted.
  static void take_leave(host::TcpSocket& socket, const LiveRule& rule);
  void finish(CheckId id, Check& check, int error, Instant now);
  void judge(Check& check, LiveRule& rule, int error);
  void pause(CheckId id, Check& check, Instant now);
  void wake(CheckId id, Check& check, Instant at);
  void drop_probes(Check& check);
  void remove(CheckId id);

  sys::Kernel& kernel_;
  sys::EventLoop& loop_;
  std::uint64_t tag_base_;
  Prng prng_;
  CheckId last_id_ = 0;
  std::uint32_t last_number_ = 0;
  std::map<CheckId, Check> checks_;
  std::set<std::pair<Instant, CheckId>> schedule_;
  std::unordered_map<std::uint32_t, CheckId> probes_;  // By number.
};

}  // namespace sluice::forward
