// Sockets of UDP in the guest's network, each connected to a server at its loopback: made by the
// agent one by one as they are asked for, and UdpIo's from there on. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "agent/agent.h"
#include "driver/io/udp_io.h"
#include "flow/core/action.h"
#include "flow/engine/engine.h"
#include "sys/kernel.h"
#include "wire/address.h"

namespace sluice::driver {

class DatagramCalls {
 public:
  // Whoever can stop the agent is in the guest: no more than so many wait for it.
  static constexpr std::size_t kWaitingMax = 1024;
  static constexpr std::size_t kOrderedMax = 32;

  // References are not owned.
  DatagramCalls(sys::Kernel& kernel, flow::Engine& engine, UdpIo& udp)
      : kernel_(kernel), engine_(engine), udp_(udp) {}

  // To be followed by order(). One for whom there is no room is refused.
  void call(const flow::OpenGuestUdp& action, flow::Turn turn);
  // Asks for what was not asked for, as much as may be under way; what answers is called
  // `first_tag` of IPv4, and the next of IPv6. False: the agent is too busy.
  [[nodiscard]] bool order(agent::GuestAgent& agent, std::uint64_t first_tag);
  // The answer, whoever's it is.
  void on_socket(wire::IpFamily family, agent::AgentSockets answer, flow::Turn turn);
  // Nothing that was asked for will come.
  void on_agent_gone(flow::Turn turn);

 private:
  struct Queue {
    std::deque<flow::OpenGuestUdp> waiting;  // Some are not wanted any more.
    std::size_t ordered = 0;
  };
  [[nodiscard]] Queue& queue(wire::IpFamily family) {
    return queues_[family == wire::IpFamily::kV4 ? 0 : 1];
  }
  [[nodiscard]] bool begin(const flow::OpenGuestUdp& call, UniqueFd socket);
  void forget_unwanted(Queue& queue);

  sys::Kernel& kernel_;
  flow::Engine& engine_;
  UdpIo& udp_;
  std::array<Queue, 2> queues_;
};

}  // namespace sluice::driver
