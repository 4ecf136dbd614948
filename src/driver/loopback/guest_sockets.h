// TCP sockets of the guest's network, some of each family in stock once they are wanted: to have
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
  // So many come with one order, so that the agent is woken, and runs beside a short connection,
  // once in so many of them.
  static constexpr std::size_t kBatch = agent::kMostSockets;
  // Asked for anew when no more are left than the agent may need time for.
  static constexpr std::size_t kLeft = kBatch / 2;
  // Under way.
  static constexpr std::size_t kOrdersMax = 2;

  // Invalid where there is none yet.
  [[nodiscard]] host::TcpSocket take(wire::IpFamily family);
  // Asks for what is missing, with so many waiting. False: the agent is too busy to be asked.
  [[nodiscard]] bool order(agent::GuestAgent& agent, wire::IpFamily family, std::size_t waiting);
  // What an order is answered under.
  [[nodiscard]] static std::uint64_t tag_of(wire::IpFamily family) {
    return family == wire::IpFamily::kV4 ? 0 : 1;
  }
  // An order is answered. False: there was none.
  [[nodiscard]] bool on_answer(wire::IpFamily family);
  // One that came with it.
  void add(wire::IpFamily family, host::TcpSocket socket);
  // Nothing that was asked for will come.
  void forget_orders();

 private:
  struct Shelf {
    std::vector<host::TcpSocket> stock;
    std::size_t orders = 0;
  };
  [[nodiscard]] Shelf& shelf(wire::IpFamily family) { return shelves_[tag_of(family)]; }

  std::array<Shelf, 2> shelves_;
};

}  // namespace sluice::driver
