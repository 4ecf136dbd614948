// Which servers at the guest's loopback clients of published ports are led to, and when.
// docs/loopback.md has who reaches whom.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "base/time.h"
#include "policy/loopback_use.h"
#include "policy/port_map.h"
#include "wire/address.h"

namespace sluice::flow {

// Servers that were found when nobody waited at the guest's address. So that the next client does
// not have to be refused first, that is believed for a moment. Bounded, and quick for the few there
// are.
class LoopbackServers {
 public:
  static constexpr Duration kBelievedFor = std::chrono::seconds(1);
  static constexpr std::size_t kMax = 64;

  void found(const wire::Endpoint& server, Instant now) {
    lost(server);
    if (servers_.size() == kMax) servers_.erase(servers_.begin());
    servers_.push_back({server, now + kBelievedFor});
  }
  void lost(const wire::Endpoint& server) {
    std::erase_if(servers_, [&](const Server& one) { return one.at == server; });
  }
  [[nodiscard]] bool waits(const wire::Endpoint& server, Instant now) const {
    return std::ranges::any_of(
        servers_, [&](const Server& one) { return one.at == server && now < one.until; });
  }

 private:
  struct Server {
    wire::Endpoint at;
    Instant until;
  };
  std::vector<Server> servers_;  // The oldest first.
};

// Whether a server at the guest's loopback is asked before one at its address.
[[nodiscard]] inline bool calls_first(policy::LoopbackUse use, const LoopbackServers& servers,
                                      const wire::Endpoint& server, Instant now) {
  switch (use) {
    case policy::LoopbackUse::kNever: return false;
    case policy::LoopbackUse::kWhereRefused: return servers.waits(server, now);
    case policy::LoopbackUse::kFirst: return true;
  }
  return false;
}

// Whether who waits at this port of the guest's loopback is one of us.
[[nodiscard]] inline bool leads_out(std::span<const policy::PortMap> ports,
                                    policy::Protocol protocol, wire::Port port) {
  return std::ranges::any_of(
      ports, [&](const policy::PortMap& map) { return map.has_guest_port(protocol, port); });
}

}  // namespace sluice::flow
