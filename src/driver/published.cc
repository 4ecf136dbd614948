#include "driver/published.h"

#include <fmt/core.h>

#include <algorithm>
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
  return fmt::format("{}: cannot listen on {}: {}{}", policy::to_string(map),
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
    tcp.push_back({std::move(*listener), guest, policy::to_string(map)});
    return {};
  }
  auto socket = host::UdpSocket::open(kernel, endpoint.address.family(),
                                      {.bind = endpoint,
                                       .packet_info = true,
                                       .receive_buffer = kPublishedBuffer,
                                       .freebind = map.freebind,
                                       .device = map.interface});
  if (!socket) return std::unexpected(socket.error());
  udp.push_back({std::move(*socket), guest, policy::to_string(map)});
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
        const wire::IpAddress& own = address.is_v4() ? network.guest_v4 : network.guest_v6;
        const wire::Endpoint guest{map.guest_address.value_or(own), wire::Port{guest_port}};
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
    if (auto adopted = adopt(port); !adopted) return adopted;
  }
  ports_.udp.clear();
  return watch();
}

std::expected<void, sys::SysError> PortPublisher::adopt(PublishedPorts::Udp& port) {
  const flow::UdpId id = engine_.udp().publish(port.guest);
  datagrams_.push_back({id, std::move(port.map)});
  return udp_.adopt(id, std::move(port.socket));
}

std::expected<void, sys::SysError> PortPublisher::watch(std::size_t place) {
  const int fd = ports_.tcp[place].listener.fd();
  if (fd < 0) return {};  // It was withdrawn.
  const EventTag tag{EventKind::kListener, static_cast<std::uint32_t>(place)};
  return loop_.add(fd, EPOLLIN, tag.pack());
}

std::expected<void, sys::SysError> PortPublisher::watch() {
  for (std::size_t place = 0; place < ports_.tcp.size(); ++place) {
    if (auto watched = watch(place); !watched) return watched;
  }
  return {};
}

std::expected<void, sys::SysError> PortPublisher::add(PublishedPorts ports, flow::Turn turn) {
  const auto serve = [&]() -> std::expected<void, sys::SysError> {
    for (PublishedPorts::Udp& port : ports.udp) {
      if (auto adopted = adopt(port); !adopted) return adopted;
    }
    for (PublishedPorts::Tcp& port : ports.tcp) {
      // Events that were read already may be of the one that had this place: a listener that
      // nobody calls says so.
      auto free = std::ranges::find_if(
          ports_.tcp, [](const PublishedPorts::Tcp& one) { return !one.listener.valid(); });
      if (free == ports_.tcp.end()) free = ports_.tcp.insert(free, PublishedPorts::Tcp{});
      *free = std::move(port);
      if (resume_at_ != kNever) continue;  // All of them are watched then.
      const auto place = static_cast<std::size_t>(free - ports_.tcp.begin());
      if (auto watched = watch(place); !watched) return watched;
    }
    return {};
  };
  std::string map;
  if (!ports.tcp.empty()) map = ports.tcp.front().map;
  if (!ports.udp.empty()) map = ports.udp.front().map;
  auto served = serve();
  if (!served) remove(map, turn);
  return served;
}

void PortPublisher::remove(std::string_view map, flow::Turn turn) {
  for (PublishedPorts::Tcp& port : ports_.tcp) {
    if (port.map != map) continue;
    port.listener.close();  // No other descriptor stands for it, so it is watched no more.
    port.map.clear();
  }
  std::erase_if(datagrams_, [&](const Datagrams& port) {
    if (port.map != map) return false;
    engine_.udp().withdraw(port.id, turn);
    return true;
  });
}

void PortPublisher::on_time(Instant now) {
  if (now < resume_at_) return;
  resume_at_ = kNever;
  if (!watch()) pause(now);
}

void PortPublisher::pause(Instant now) {
  // One that is not watched stays so.
  for (const PublishedPorts::Tcp& port : ports_.tcp) {
    if (port.listener.valid()) (void)loop_.remove(port.listener.fd());
  }
  resume_at_ = now + host::kAcceptPause;
}

void PortPublisher::on_event(const EventTag& tag, flow::Turn turn) {
  if (tag.index >= ports_.tcp.size() || !ports_.tcp[tag.index].listener.valid()) return;
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
