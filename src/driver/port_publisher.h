// Published ports that are served: their clients become flows of the guest. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "driver/group/group_member.h"
#include "driver/io/event_tag.h"
#include "driver/io/tcp_io.h"
#include "driver/io/udp_io.h"
#include "driver/published_ports.h"
#include "flow/engine/engine.h"
#include "host/tcp_socket.h"
#include "sys/event_loop.h"

namespace sluice::driver {

class PortPublisher {
 public:
  // References are not owned.
  PortPublisher(sys::EventLoop& loop, flow::Engine& engine, TcpIo& tcp, UdpIo& udp,
                PublishedPorts ports)
      : loop_(loop), engine_(engine), tcp_(tcp), udp_(udp), ports_(std::move(ports)) {}

  // Clients whose flows are other workers' are handed to them. Not owned.
  void set_group(GroupMember& member) { member_ = &member; }
  // Watches all that was bound. Once.
  [[nodiscard]] std::expected<void, sys::SysError> begin();
  // Serves these, too. Where one cannot be watched none of them is served.
  [[nodiscard]] std::expected<void, sys::SysError> add(PublishedPorts ports, flow::Turn turn);
  // Closes those of a map, as policy::to_string() has it. Connections that were accepted, and
  // clients that have called, go on.
  void remove(std::string_view map, flow::Turn turn);

  // Accepts what waits at a listener, up to its share of a turn.
  void on_event(const EventTag& tag, flow::Turn turn);
  // The client of a published port as a flow of the guest's. False where there can be no more.
  bool begin_flow(const wire::Endpoint& peer, const wire::Endpoint& guest, host::TcpSocket socket,
                  flow::Turn turn);
  // Listeners pause when there is no descriptor, or no watch, left.
  [[nodiscard]] Instant next_wakeup() const { return resume_at_; }
  void on_time(Instant now);

 private:
  [[nodiscard]] std::expected<void, sys::SysError> watch();
  [[nodiscard]] std::expected<void, sys::SysError> watch(std::size_t place);
  [[nodiscard]] std::expected<void, sys::SysError> adopt(PublishedPorts::Udp& port);
  void pause(Instant now);
  // Whether another worker has it from here on.
  [[nodiscard]] bool hand_over(host::AcceptedConnection& client, const wire::Endpoint& guest,
                               Instant now);

  sys::EventLoop& loop_;
  flow::Engine& engine_;
  TcpIo& tcp_;
  UdpIo& udp_;
  struct Datagrams {
    flow::UdpId id;
    std::string map;
  };
  PublishedPorts ports_;  // The sockets of UDP until begin(): then they are UdpIo's.
  std::vector<Datagrams> datagrams_;
  Instant resume_at_ = kNever;
  GroupMember* member_ = nullptr;
};

}  // namespace sluice::driver
