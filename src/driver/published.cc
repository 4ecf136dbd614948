#include "driver/published.h"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <utility>

namespace sluice::driver {
namespace {

// One socket holds what comes from everybody while we are at other work. The kernel grants as much
// of it as net.core.rmem_max allows.
constexpr std::uint32_t kPublishedBuffer = 1024 * 1024;

// The addresses to bind: the one that was named, or everywhere in each family that the guest has.
[[nodiscard]] std::vector<wire::IpAddress> addresses_of(const policy::PortMap& map,
                                                        const flow::GuestNetwork& network) {
  if (map.address) return {*map.address};
  std::vector<wire::IpAddress> everywhere;
  if (network.ipv4) everywhere.push_back(wire::IpAddress::v4(std::uint32_t{0}));
  if (network.ipv6) everywhere.emplace_back();
  return everywhere;
}

[[nodiscard]] std::string bind_error(const policy::PortMap& map, const wire::Endpoint& endpoint,
                                     const sys::SysError& error) {
  const char* hint = "";
  if (error.error == EADDRINUSE) {
    hint = "; another program has this port: choose a different one";
  } else if (error.error == EACCES) {
    hint = "; ports below net.ipv4.ip_unprivileged_port_start need privileges: choose a higher one";
  } else if (error.error == EADDRNOTAVAIL) {
    hint = "; the host has no such address";
  }
  return fmt::format("--publish {}: cannot listen on {}: {}{}", policy::to_string(map),
                     wire::to_string(endpoint), sys::errno_text(error.error), hint);
}

// "Everywhere" includes IPv6 only where the host has it.
[[nodiscard]] bool may_be_left_out(const policy::PortMap& map, const wire::IpAddress& address,
                                   const flow::GuestNetwork& network, int error) {
  if (map.if_free && (error == EADDRINUSE || error == EACCES)) return true;
  return !map.address && !address.is_v4() && network.ipv4 &&
         (error == EAFNOSUPPORT || error == EADDRNOTAVAIL);
}

}  // namespace

std::expected<void, sys::SysError> PublishedPorts::add(sys::Kernel& kernel,
                                                       const policy::PortMap& map,
                                                       const wire::Endpoint& endpoint,
                                                       const wire::Endpoint& guest) {
  if (map.protocol == policy::Protocol::kTcp) {
    auto listener = host::TcpListener::open(kernel, endpoint,
                                            {.freebind = map.freebind,
                                             .device = map.interface,
                                             .accepted = {.urgent_inline = true, .guarded = true}});
    if (!listener) return std::unexpected(listener.error());
    tcp.push_back({std::move(*listener), guest});
    return {};
  }
  auto socket = host::UdpSocket::open(kernel, endpoint.address.family(),
                                      {.bind = endpoint,
                                       .packet_info = true,
                                       .receive_buffer = kPublishedBuffer,
                                       .freebind = map.freebind,
                                       .device = map.interface});
  if (!socket) return std::unexpected(socket.error());
  udp.push_back({std::move(*socket), guest});
  return {};
}

std::expected<PublishedPorts, std::string> PublishedPorts::open(
    sys::Kernel& kernel, const std::vector<policy::PortMap>& maps,
    const flow::GuestNetwork& network) {
  PublishedPorts ports;
  for (const policy::PortMap& map : maps) {
    for (const wire::IpAddress& address : addresses_of(map, network)) {
      for (std::uint16_t i = 0; i < map.count; ++i) {
        const auto host_port = static_cast<std::uint16_t>(map.host_first.value + i);
        const auto guest_port = static_cast<std::uint16_t>(map.guest_first.value + i);
        const wire::Endpoint endpoint{address, wire::Port{host_port}};
        const wire::Endpoint guest{address.is_v4() ? network.guest_v4 : network.guest_v6,
                                   wire::Port{guest_port}};
        const auto added = ports.add(kernel, map, endpoint, guest);
        if (added || may_be_left_out(map, address, network, added.error().error)) continue;
        return std::unexpected(bind_error(map, endpoint, added.error()));
      }
    }
  }
  return ports;
}

std::vector<PublishedPorts> PublishedPorts::split(const flow::FrameOwner& owner) && {
  std::vector<PublishedPorts> parts(owner.workers());
  parts.front().tcp = std::move(tcp);
  for (Udp& port : udp) parts[owner.of_udp(port.guest.port)].udp.push_back(std::move(port));
  return parts;
}

std::expected<void, sys::SysError> PortPublisher::begin() {
  for (PublishedPorts::Udp& port : ports_.udp) {
    const auto watched = udp_.adopt(engine_.udp().publish(port.guest), std::move(port.socket));
    if (!watched) return watched;
  }
  ports_.udp.clear();
  return watch();
}

std::expected<void, sys::SysError> PortPublisher::watch() {
  for (std::uint32_t i = 0; i < ports_.tcp.size(); ++i) {
    const auto watched =
        loop_.add(ports_.tcp[i].listener.fd(), EPOLLIN, EventTag{EventKind::kListener, i}.pack());
    if (!watched) return watched;
  }
  return {};
}

void PortPublisher::on_time(Instant now) {
  if (now < resume_at_) return;
  resume_at_ = kNever;
  if (!watch()) pause(now);
}

void PortPublisher::pause(Instant now) {
  // One that is not watched stays so.
  for (const PublishedPorts::Tcp& port : ports_.tcp) (void)loop_.remove(port.listener.fd());
  resume_at_ = now + host::kAcceptPause;
}

void PortPublisher::on_event(const EventTag& tag, flow::Turn turn) {
  if (tag.index >= ports_.tcp.size()) return;
  PublishedPorts::Tcp& port = ports_.tcp[tag.index];
  std::uint32_t count = 0;
  while (count < port.share.most() && resume_at_ == kNever) {
    auto accepted = port.listener.accept();
    if (!accepted && sys::is_exhaustion(accepted.error().error)) {
      engine_.drops().count(flow::DropReason::kNoDescriptors);
      pause(turn.now);
    }
    if (!accepted || !*accepted) break;
    ++count;
    if (member_ != nullptr && hand_over(**accepted, port.guest, turn.now)) continue;
    auto& [socket, peer] = **accepted;
    if (!begin_flow(peer, port.guest, std::move(socket), turn)) break;
  }
  port.share.took(count);
}

bool PortPublisher::begin_flow(const wire::Endpoint& peer, const wire::Endpoint& guest,
                               host::TcpSocket socket, flow::Turn turn) {
  const auto id = engine_.tcp().on_inbound(peer, guest, TcpIo::kRoomAtFirst, turn);
  if (!id) {
    socket.reset();
  } else if (!tcp_.adopt(*id, std::move(socket))) [[unlikely]] {
    engine_.drops().count(flow::DropReason::kNoDescriptors);
    engine_.tcp().on_socket_lost(*id, turn);
    pause(turn.now);
    return false;
  }
  return true;
}

bool PortPublisher::hand_over(host::AcceptedConnection& client, const wire::Endpoint& guest,
                              Instant now) {
  const std::uint32_t owner = engine_.owner_of_inbound(client.peer, guest);
  if (owner == member_->share().worker) return false;
  ClientAccepted accepted{client.peer, guest, std::move(client.socket)};
  if (member_->hand_over(owner, accepted)) return true;
  // It has many of them waiting already.
  engine_.drops().count(flow::DropReason::kTooManyFlows);
  accepted.socket.reset();
  pause(now);
  return true;
}

}  // namespace sluice::driver
