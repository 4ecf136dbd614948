// Published ports: listeners and bound sockets of the host whose clients become flows of the
// guest. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "driver/io/event_tag.h"
#include "driver/io/tcp_io.h"
#include "driver/io/udp_io.h"
#include "flow/engine/engine.h"
#include "host/accept.h"
#include "host/listener.h"
#include "host/udp_socket.h"
#include "policy/port_map.h"
#include "sys/event_loop.h"

namespace sluice::driver {

// Bound before the guest starts, so that a port in use is an error at once.
struct PublishedPorts {
  struct Tcp {
    host::TcpListener listener;
    wire::Endpoint guest;
    host::AcceptShare share{};
  };
  struct Udp {
    host::UdpSocket socket;
    wire::Endpoint guest;
  };
  std::vector<Tcp> tcp;
  std::vector<Udp> udp;

  // Binds every port of every map. The error is a sentence that names the map.
  [[nodiscard]] static std::expected<PublishedPorts, std::string> open(
      sys::Kernel& kernel, const std::vector<policy::PortMap>& maps,
      const flow::GuestNetwork& network);

 private:
  [[nodiscard]] std::expected<void, sys::SysError> add(sys::Kernel& kernel,
                                                       const policy::PortMap& map,
                                                       const wire::Endpoint& endpoint,
                                                       const wire::Endpoint& guest);
};

class PortPublisher {
 public:
  // References are not owned.
  PortPublisher(sys::EventLoop& loop, flow::Engine& engine, TcpIo& tcp, UdpIo& udp,
                PublishedPorts ports)
      : loop_(loop), engine_(engine), tcp_(tcp), udp_(udp), ports_(std::move(ports)) {}

  // Watches all that was bound. Once.
  [[nodiscard]] std::expected<void, sys::SysError> begin();

  // Accepts what waits at a listener, up to its share of a turn.
  void on_event(const EventTag& tag, flow::Turn turn);
  // Listeners pause when there is no descriptor, or no watch, left.
  [[nodiscard]] Instant next_wakeup() const { return resume_at_; }
  void on_time(Instant now);

 private:
  [[nodiscard]] std::expected<void, sys::SysError> watch();
  void pause(Instant now);

  sys::EventLoop& loop_;
  flow::Engine& engine_;
  TcpIo& tcp_;
  UdpIo& udp_;
  PublishedPorts ports_;  // The sockets of UDP until begin(): then they are UdpIo's.
  Instant resume_at_ = kNever;
};

}  // namespace sluice::driver
