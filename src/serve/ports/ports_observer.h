// Who is told at which ports the sockets of a network namespace wait for clients (port_watch.h).
#pragma once

#include <span>

#include "policy/protocol.h"
#include "wire/address.h"

namespace sluice::serve {

class PortsObserver {
 public:
  virtual ~PortsObserver() = default;

  // Whether ports of this protocol are of interest.
  [[nodiscard]] virtual bool follows(policy::Protocol protocol) const = 0;
  // `waiting`: where sockets of this protocol wait for clients, all of them, sorted.
  virtual void look(policy::Protocol protocol, std::span<const wire::Endpoint> waiting) = 0;
};

}  // namespace sluice::serve
