// Ports that follow the host (-T auto, -U auto): as long as one of its programs waits for clients
// at its loopback, or at all of its addresses, the port of that number of the guest's loopback
// leads there. What waits where is told from outside; which ports are to lead out follows from it.
// Not thread-safe.
//
// Each family is one of its own: a program of the guest's that tries one after the other finds the
// one that the server has. Left out are
//   our own       what is published would lead back into the guest
//   those named   they lead out anyway, and may lead elsewhere; or they are not to (~22)
//   clients'      of UDP: who asks others from such a port waits for nobody but them
//   the rest      of more than kPortsMax; those that lead out already stay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "policy/port_map.h"
#include "serve/ports/host_follow.h"
#include "serve/ports/ports_observer.h"

namespace sluice::serve {

class HostPortFollower final : public PortsObserver {
 public:
  // Of each protocol, with those that are named: each costs two sockets in the guest at most.
  static constexpr std::size_t kPortsMax = 1024;

  struct Terms {
    HostFollow what{};
    // These lead out whatever the host does.
    std::vector<policy::PortMap> named{};
    // Whether the socket that waits there is one of ours.
    std::function<bool(policy::Protocol, const wire::Endpoint&)> is_ours{};
  };
  // All that are to lead out from now on, those that are named first.
  using LeadOut = std::function<void(const std::vector<policy::PortMap>&)>;

  HostPortFollower(Terms terms, LeadOut lead_out)
      : terms_(std::move(terms)), lead_out_(std::move(lead_out)) {}

  [[nodiscard]] bool follows(policy::Protocol protocol) const override;
  void look(policy::Protocol protocol, std::span<const wire::Endpoint> waiting) override;

 private:
  using Led = std::set<std::pair<std::uint16_t, wire::IpFamily>>;

  [[nodiscard]] Led& led(policy::Protocol protocol) {
    return protocol == policy::Protocol::kTcp ? tcp_ : udp_;
  }
  [[nodiscard]] bool is_followed(policy::Protocol protocol, const wire::Endpoint& waiting) const;
  [[nodiscard]] bool is_of_a_client(wire::Port port) const;
  [[nodiscard]] Led within_bounds(policy::Protocol protocol, const Led& wanted);
  [[nodiscard]] std::size_t named_of(policy::Protocol protocol) const;
  void tell_lead_out() const;

  Terms terms_;
  LeadOut lead_out_;
  Led tcp_;
  Led udp_;
  bool told_of_bound_ = false;
};

}  // namespace sluice::serve
