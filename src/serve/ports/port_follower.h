// Ports that follow the guest ("auto"): as long as one of its processes waits for clients at a
// port, the host's port of that number leads there. What waits where is told from outside; which
// ports are to come and go follows from it. Not thread-safe.
//
// The guest decides which ports these are, within bounds: not those of DHCP, which every guest has;
// not the ephemeral ones of UDP, from which it asks others; nor more than kPortsMax at a time. A
// port that the host cannot give is left out until the guest gives it up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "flow/core/guest_network.h"
#include "policy/port_map.h"
#include "serve/control/port_set.h"

namespace sluice::serve {

class PortFollower {
 public:
  // Each costs descriptors of ours.
  static constexpr std::size_t kPortsMax = 1024;
  // Ports that begin to be listened on in one look; the others do in the next.
  static constexpr std::size_t kNewMax = 64;

  // References are not owned. Of `like`, one for each place of the host, protocol, address and
  // interface count.
  PortFollower(PortSet& ports, const flow::GuestNetwork& network, std::vector<policy::PortMap> like)
      : ports_(ports), network_(network), like_(std::move(like)) {}

  // Whether ports of this protocol follow.
  [[nodiscard]] bool follows(policy::Protocol protocol) const;
  // `waiting`: where the guest's sockets of this protocol wait for clients.
  void look(policy::Protocol protocol, std::span<const wire::Endpoint> waiting);

 private:
  struct Followed {
    std::vector<policy::PortMap> published;  // None: the host could not give it.
    bool waits = true;                       // There was one at the last look.
  };
  using Key = std::pair<policy::Protocol, std::uint16_t>;

  [[nodiscard]] bool is_for_clients(policy::Protocol protocol, const wire::Endpoint& waiting) const;
  void publish(const Key& key);

  PortSet& ports_;
  const flow::GuestNetwork& network_;
  std::vector<policy::PortMap> like_;
  std::map<Key, Followed> followed_;
  bool told_of_bound_ = false;
};

}  // namespace sluice::serve
