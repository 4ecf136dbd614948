// Servers that were found at the guest's loopback when nobody waited at its address. So that the
// next client does not have to be refused first, that is believed for a moment. Bounded, and
// quick for the few there are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/time.h"
#include "wire/address.h"

namespace sluice::flow {

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

}  // namespace sluice::flow
