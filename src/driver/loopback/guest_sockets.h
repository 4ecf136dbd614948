// TCP sockets of the guest's network, a few of each family in stock once they are wanted: to have
// one made takes two turns of the scheduler, which a short connection would wait for. Not
// thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "agent/agent.h"
#include "host/tcp_socket.h"
#include "wire/address.h"

namespace sluice::driver {

class GuestSockets {
 public:
  // So many are asked for ahead; anew when half of them are gone, so that the agent is woken for
  // several at once.
  static constexpr std::size_t kStock = 8;
  static constexpr std::size_t kOrderedMax = 32;

  // Invalid where there is none yet.
  [[nodiscard]] host::TcpSocket take(wire::IpFamily family);
  // Asks for what is missing, with so many waiting. False: the agent is too busy to be asked.
  [[nodiscard]] bool order(agent::GuestAgent& agent, wire::IpFamily family, std::size_t waiting);
  // What an order is answered under.
  [[nodiscard]] static std::uint64_t tag_of(wire::IpFamily family) {
    return family == wire::IpFamily::kV4 ? 0 : 1;
  }
  // One came, or none where it is invalid.
  void add(wire::IpFamily family, host::TcpSocket socket);
  // Nothing that was asked for will come.
  void forget_orders();

 private:
  struct Shelf {
    std::vector<host::TcpSocket> stock;
    std::size_t ordered = 0;
  };
  [[nodiscard]] Shelf& shelf(wire::IpFamily family) { return shelves_[tag_of(family)]; }

  std::array<Shelf, 2> shelves_;
};

}  // namespace sluice::driver
