// Looks now and then at which ports the guest waits for clients, and has those of the host follow.
// In the thread of the first worker, between its turns. Not thread-safe.
#pragma once

#include "base/time.h"
#include "netlink/listening_ports.h"
#include "serve/ports/port_follower.h"

namespace sluice::serve {

class PortWatch {
 public:
  // A client that comes this long after a server finds it, and no later than twice that.
  static constexpr Duration kEvery = std::chrono::milliseconds(40);
  // Where a look takes long, since there are many sockets, it is made the less often: this part of
  // our time it takes at most.
  static constexpr int kShare = 100;

  // `ports` of the guest's namespace.
  PortWatch(netlink::ListeningPorts ports, PortFollower follower)
      : ports_(std::move(ports)), follower_(std::move(follower)) {}

  [[nodiscard]] Instant next_wakeup() const { return next_; }
  // Looks if it is time.
  void turn(Instant now);

 private:
  void look(policy::Protocol protocol, netlink::ListeningPorts::Kind kind);

  netlink::ListeningPorts ports_;
  PortFollower follower_;
  Instant next_{};  // At once.
  bool failed_ = false;
};

}  // namespace sluice::serve
