// Active health checks of targets: a TCP connect every interval; `rise` successes in a row bring a
// target up, `fall` failures take it down (TargetSet::set_up). Targets begin as up. Runs in the
// supervisor's loop.
#pragma once

#include <cstdint>
#include <memory>

#include "base/time.h"
#include "forward/live_rule.h"
#include "host/event_loop.h"
#include "host/kernel.h"

namespace sluice::forward {

class HealthChecks {
 public:
  // Events of its sockets carry `tag_base` | a 32-bit number of its own.
  HealthChecks(host::Kernel& kernel, host::EventLoop& loop, std::uint64_t tag_base);
  ~HealthChecks();

  // Checks this rule's targets as long as the rule lives (it is not held alive).
  void watch(const std::shared_ptr<LiveRule>& rule, Instant now);
  void on_event(std::uint32_t number, std::uint32_t events, Instant now);
  void on_time(Instant now);
  [[nodiscard]] Instant next_deadline() const;
};

}  // namespace sluice::forward
