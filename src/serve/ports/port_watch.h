// Looks now and then at which ports the programs of a network namespace wait for clients, and has
// those of the other side follow: the guest's namespace, or the host's. In the thread of the first
// worker, between its turns. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/time.h"
#include "netlink/listening_ports.h"
#include "serve/ports/ports_observer.h"

namespace sluice::serve {

class PortWatch {
 public:
  // A client that comes this long after a server finds it, and no later than twice that.
  static constexpr Duration kEvery = std::chrono::milliseconds(40);
  // Where a look takes long, since there are many sockets, it is made the less often: this part of
  // our time it takes at most.
  static constexpr int kShare = 100;

  // `ports` of the namespace, and how people call whom it belongs to.
  PortWatch(netlink::ListeningPorts ports, std::unique_ptr<PortsObserver> observer,
            std::string_view whose)
      : ports_(std::move(ports)), observer_(std::move(observer)), whose_(whose) {}

  [[nodiscard]] Instant next_wakeup() const { return next_; }
  // Looks if it is time.
  void turn(Instant now);

 private:
  void look(policy::Protocol protocol, netlink::ListeningPorts::Kind kind);

  netlink::ListeningPorts ports_;
  std::unique_ptr<PortsObserver> observer_;
  std::string_view whose_;
  Instant next_{};  // At once.
  bool failed_ = false;
};

// Both ways: ports of the host follow the guest's, those that lead out of its loopback the host's.
// Neither follows what the other has opened.
class PortWatches {
 public:
  // Either may be nobody's wish.
  PortWatches(std::optional<PortWatch> guest, std::optional<PortWatch> host)
      : guest_(std::move(guest)), host_(std::move(host)) {}

  // Whether ports of the host are opened as we go.
  [[nodiscard]] bool publishes() const { return guest_.has_value(); }
  [[nodiscard]] Instant next_wakeup() const;
  // Before the guest begins, so that it finds what the host has.
  void look_at_host(Instant now);
  // Looks if it is time.
  void turn(Instant now);

 private:
  std::optional<PortWatch> guest_;
  std::optional<PortWatch> host_;
};

}  // namespace sluice::serve
