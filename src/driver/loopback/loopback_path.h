// Connections between the host's loopback and the guest's, which never pass the link: a socket of
// the guest's network, which the agent has made, and one of the host's, joined by the carrier.
// docs/loopback.md has who reaches whom. Not thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "base/time.h"
#include "driver/fast_path/guest_socket_taker.h"
#include "driver/fast_path/hand_overs.h"
#include "driver/io/event_tag.h"
#include "driver/io/io_context.h"
#include "driver/io/tcp_io.h"
#include "driver/io/udp_io.h"
#include "driver/loopback/datagram_calls.h"
#include "driver/loopback/guest_sockets.h"
#include "driver/loopback/loopback_datagrams.h"
#include "driver/loopback/loopback_ports.h"
#include "flow/core/action.h"
#include "flow/tcp/tcp_flows.h"
#include "host/tcp_socket.h"
#include "policy/port_map.h"
#include "sys/event_loop.h"
#include "sys/kernel.h"

namespace sluice::driver {

class LoopbackPath final : public GuestSocketTaker {
 public:
  // Who has the host's sockets.
  struct HostSockets {
    TcpIo& tcp;
    UdpIo& udp;
  };

  // References are not owned.
  LoopbackPath(IoContext context, flow::Engine& engine, HostSockets sockets, HandOvers& hand_overs);

  // Ports of the guest's loopback that lead to the host's. Once.
  void open(std::span<const policy::PortMap> ports, Instant now);
  // Besides those, and as the agent gets to it: ports that follow programs of the host's.
  void follow(std::span<const policy::PortMap> ports, Instant now);
  // Whether who waits at this port of the guest's loopback is one of us, or about to be.
  [[nodiscard]] bool leads_out(policy::Protocol protocol, wire::Port port) const {
    return ports_.has(protocol, port);
  }
  // The agent has not made all of them yet.
  [[nodiscard]] bool awaits_ports() const { return ports_.awaits_answers(); }

  void call(const flow::CallGuest& action, flow::Turn turn);
  void call(const flow::OpenGuestUdp& action, flow::Turn turn);
  void join(const flow::JoinTcp& action, flow::Turn turn);
  // The guest's socket of a flow that is not joined yet; the host's is TcpIo's.
  void close(const flow::CloseTcp& action);

  // Of UDP.
  [[nodiscard]] LoopbackDatagrams& datagrams() { return datagrams_; }

  // A socket that calls, or a listener of ours in the guest.
  void on_event(const EventTag& tag, flow::Turn turn);
  void on_guest_sockets(agent::AgentSockets answer, flow::Turn turn) override;
  void on_agent_gone(flow::Turn turn) override;

  [[nodiscard]] Instant next_wakeup() const {
    return std::min({order_at_, ports_.resume_at(), ports_.ask_again_at()});
  }
  void on_time(Instant now);

 private:
  struct Call {
    flow::TcpId id;
    wire::Endpoint server;
    host::TcpSocket socket;
  };

  static constexpr std::size_t kWaitingMax = 1024;

  [[nodiscard]] Call* find(flow::TcpId id);
  [[nodiscard]] Call& place(flow::TcpId id);
  void on_stock(wire::IpFamily family, std::vector<UniqueFd> sockets, flow::Turn turn);
  [[nodiscard]] bool has_room_to_wait(wire::IpFamily family);
  void connect(Call& call, host::TcpSocket socket, flow::Turn turn);
  void refuse(Call& call, flow::Turn turn);
  void serve_waiting(wire::IpFamily family, flow::Turn turn);
  // Those who have waited longest.
  void refuse_waiting(wire::IpFamily family, std::size_t count, flow::Turn turn);
  void accept(const EventTag& tag, flow::Turn turn);
  void order(Instant now);
  [[nodiscard]] std::deque<flow::TcpId>& waiting(wire::IpFamily family) {
    return waiting_[GuestSockets::tag_of(family)];
  }

  sys::Kernel& kernel_;
  sys::EventLoop& loop_;
  flow::Engine& engine_;
  TcpIo& tcp_;
  HandOvers& hand_overs_;
  GuestSockets sockets_;
  LoopbackPorts ports_;
  LoopbackDatagrams datagrams_;
  DatagramCalls datagram_calls_;
  std::vector<Call> calls_;                         // At the index of the flow's id.
  std::array<std::deque<flow::TcpId>, 2> waiting_;  // For a socket; some have ended since.
  Instant order_at_ = kNever;  // When to tell an agent the rest that had its hands full.
};

}  // namespace sluice::driver
