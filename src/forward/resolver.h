// Addresses of targets' names, by c-ares, kept fresh: asked again when the shortest TTL has passed
// (between 1 s and 5 min; 10 s after a failure; the old addresses stay while a question is
// unanswered or fails). /etc/hosts counts. Runs in the supervisor's loop; owns its sockets'
// interest.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "base/time.h"
#include "forward/live_rule.h"
#include "host/event_loop.h"

namespace sluice::forward {

class Resolver {
 public:
  // Events of its descriptors carry `tag_base` | fd.
  [[nodiscard]] static std::expected<std::unique_ptr<Resolver>, std::string> create(
      host::EventLoop& loop, std::uint64_t tag_base);
  ~Resolver();

  // Keeps the names of this rule's targets fresh as long as the rule lives (it is not held alive).
  void watch(const std::shared_ptr<LiveRule>& rule, Instant now);
  void on_event(int fd, std::uint32_t events, Instant now);
  void on_time(Instant now);
  [[nodiscard]] Instant next_deadline() const;
  // True once every watched name was answered, or failed, at least once.
  [[nodiscard]] bool settled() const;
};

}  // namespace sluice::forward
