#include "serve/ports/port_watch.h"

#include <algorithm>
#include <chrono>

#include "telemetry/log.h"

namespace sluice::serve {

void PortWatch::turn(Instant now) {
  if (now < next_) return;
  const auto begun = std::chrono::steady_clock::now();
  look(policy::Protocol::kTcp, netlink::ListeningPorts::Kind::kTcp);
  look(policy::Protocol::kUdp, netlink::ListeningPorts::Kind::kUdp);
  const Duration took = std::chrono::steady_clock::now() - begun;
  next_ = now + std::max(kEvery, took * kShare);
}

void PortWatch::look(policy::Protocol protocol, netlink::ListeningPorts::Kind kind) {
  if (!observer_->follows(protocol)) return;
  const auto waiting = ports_.ask(kind);
  if (waiting) {
    failed_ = false;
    observer_->look(protocol, *waiting);
  } else if (!std::exchange(failed_, true)) {
    telemetry::log_warn(
        "which ports {} waits at is not told: {}; those that follow are as they were", whose_,
        waiting.error().describe());
  }
}

Instant PortWatches::next_wakeup() const {
  return std::min(guest_ ? guest_->next_wakeup() : kNever, host_ ? host_->next_wakeup() : kNever);
}

void PortWatches::look_at_host(Instant now) {
  if (host_) host_->turn(now);
}

// What the host has gone from is free for the guest's before those are looked at.
void PortWatches::turn(Instant now) {
  look_at_host(now);
  if (guest_) guest_->turn(now);
}

}  // namespace sluice::serve
