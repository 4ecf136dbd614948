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
  if (!follower_.follows(protocol)) return;
  const auto waiting = ports_.ask(kind);
  if (waiting) {
    failed_ = false;
    follower_.look(protocol, *waiting);
  } else if (!std::exchange(failed_, true)) {
    telemetry::log_warn(
        "which ports the guest waits at is not told: {}; those that are published "
        "stay",
        waiting.error().describe());
  }
}

}  // namespace sluice::serve
