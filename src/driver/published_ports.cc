#include "driver/published_ports.h"

#include <fmt/core.h>

#include <cerrno>
#include <utility>

#include "host/port_holder.h"

namespace sluice::driver {
namespace {

// One socket holds what comes from everybody while we are at other work. The kernel grants as much
// of it as net.core.rmem_max allows.
constexpr std::uint32_t kPublishedBuffer = 1024 * 1024;

// Between the kernel's pick and our bind somebody else may take the port.
constexpr int kPicksMax = 16;

[[nodiscard]] bool is_tcp(const policy::PortMap& map) {
  return map.protocol == policy::Protocol::kTcp;
}

// The addresses to bind: the one that was named, or everywhere in each family that the guest has.
[[nodiscard]] std::vector<wire::IpAddress> addresses_of(const policy::PortMap& map,
                                                        const flow::GuestNetwork& network) {
  if (map.address) return {*map.address};
  std::vector<wire::IpAddress> everywhere;
  if (network.ipv4) everywhere.push_back(wire::IpAddress::v4(std::uint32_t{0}));
  if (network.ipv6) everywhere.emplace_back();
  return everywhere;
}

struct BindFailure {
  wire::Endpoint endpoint;
  int error = 0;
};

[[nodiscard]] std::string holder_of(const policy::PortMap& map, const BindFailure& failure,
                                    NameHolders holders) {
  if (holders == NameHolders::kNo) return "another program has this port";
  return host::holder_text(failure.endpoint,
                           is_tcp(map) ? host::PortKind::kTcp : host::PortKind::kUdp);
}

[[nodiscard]] std::string text_of(const policy::PortMap& map, const BindFailure& failure,
                                  NameHolders holders) {
  std::string hint;
  if (failure.error == EADDRINUSE) {
    hint = fmt::format("; {}: choose a different one", holder_of(map, failure, holders));
  } else if (failure.error == EACCES) {
    hint = "; ports below net.ipv4.ip_unprivileged_port_start need privileges: choose a higher one";
  } else if (failure.error == EADDRNOTAVAIL) {
    hint = "; the host has no such address";
  } else if (sys::is_exhaustion(failure.error)) {
    hint = "; each port takes a descriptor: raise the limit of open files (ulimit -n)";
  }
  return fmt::format("{}: cannot listen on {}: {}{}", policy::to_string(map),
                     wire::to_string(failure.endpoint), sys::errno_text(failure.error), hint);
}

[[nodiscard]] std::expected<host::TcpListener, sys::SysError> listener_at(
    sys::Kernel& kernel, const policy::PortMap& map, const wire::Endpoint& endpoint) {
  return host::TcpListener::open(kernel, endpoint,
                                 {.freebind = map.freebind,
                                  .device = map.interface,
                                  .accepted = {.urgent_inline = true, .guarded = true}});
}

[[nodiscard]] std::expected<host::UdpSocket, sys::SysError> socket_at(
    sys::Kernel& kernel, const policy::PortMap& map, const wire::Endpoint& endpoint) {
  return host::UdpSocket::open(kernel, endpoint.address.family(),
                               {.bind = endpoint,
                                .packet_info = true,
                                .receive_buffer = kPublishedBuffer,
                                .freebind = map.freebind,
                                .device = map.interface});
}

// Binds the ports of one map after another.
class Opening {
 public:
  Opening(sys::Kernel& kernel, const flow::GuestNetwork& network, NameHolders holders,
          OpenedPorts& opened)
      : kernel_(kernel),
        network_(network),
        holders_(holders),
        ports_(opened.ports),
        left_out_(opened.left_out) {}

  // What was bound of a map that failed is closed again.
  [[nodiscard]] std::expected<void, BindFailure> add(const policy::PortMap& map) {
    const std::size_t tcp = ports_.tcp.size();
    const std::size_t udp = ports_.udp.size();
    auto added = add_all(map);
    if (!added) {
      ports_.tcp.erase(ports_.tcp.begin() + static_cast<std::ptrdiff_t>(tcp), ports_.tcp.end());
      ports_.udp.erase(ports_.udp.begin() + static_cast<std::ptrdiff_t>(udp), ports_.udp.end());
    }
    return added;
  }

  // The same for a port that the kernel picks, which the map has then.
  [[nodiscard]] std::expected<void, BindFailure> pick(policy::PortMap& map) {
    std::expected<void, BindFailure> added;
    for (int i = 0; i < kPicksMax; ++i) {
      policy::PortMap picked = map;
      const wire::Endpoint any{addresses_of(map, network_).front(), wire::Port{0}};
      const auto port = free_port(map, any);
      if (!port) return std::unexpected(BindFailure{any, port.error().error});
      picked.host_first = *port;
      added = add(picked);
      if (added) map = picked;
      if (added || added.error().error != EADDRINUSE) return added;
    }
    return added;
  }

 private:
  [[nodiscard]] std::expected<wire::Port, sys::SysError> free_port(const policy::PortMap& map,
                                                                   const wire::Endpoint& any) {
    const auto port_of = [](const auto& socket) -> std::expected<wire::Port, sys::SysError> {
      if (!socket) return std::unexpected(socket.error());
      const auto local = socket->local_endpoint();
      if (!local) return std::unexpected(local.error());
      return local->port;
    };
    return is_tcp(map) ? port_of(listener_at(kernel_, map, any))
                       : port_of(socket_at(kernel_, map, any));
  }

  [[nodiscard]] std::expected<void, BindFailure> add_all(const policy::PortMap& map) {
    const std::string text = policy::to_string(map);
    for (const wire::IpAddress& address : addresses_of(map, network_)) {
      const wire::IpAddress& own = address.is_v4() ? network_.guest_v4 : network_.guest_v6;
      for (std::uint16_t i = 0; i < map.count; ++i) {
        const auto host_port = static_cast<std::uint16_t>(map.host_first.value + i);
        const auto guest_port = static_cast<std::uint16_t>(map.guest_first.value + i);
        const wire::Endpoint endpoint{address, wire::Port{host_port}};
        const wire::Endpoint guest{map.guest_address.value_or(own), wire::Port{guest_port}};
        const auto added = is_tcp(map) ? add_listener(map, endpoint, {{}, guest, text})
                                       : add_socket(map, endpoint, {{}, guest, text});
        if (added) continue;
        const BindFailure failure{endpoint, added.error().error};
        if (!may_be_left_out(map, failure)) return std::unexpected(failure);
      }
    }
    return {};
  }

  [[nodiscard]] std::expected<void, sys::SysError> add_listener(const policy::PortMap& map,
                                                                const wire::Endpoint& endpoint,
                                                                PublishedPorts::Tcp port) {
    auto listener = listener_at(kernel_, map, endpoint);
    if (!listener) return std::unexpected(listener.error());
    port.listener = std::move(*listener);
    ports_.tcp.push_back(std::move(port));
    return {};
  }

  [[nodiscard]] std::expected<void, sys::SysError> add_socket(const policy::PortMap& map,
                                                              const wire::Endpoint& endpoint,
                                                              PublishedPorts::Udp port) {
    auto socket = socket_at(kernel_, map, endpoint);
    if (!socket) return std::unexpected(socket.error());
    port.socket = std::move(*socket);
    ports_.udp.push_back(std::move(port));
    return {};
  }

  [[nodiscard]] bool may_be_left_out(const policy::PortMap& map, const BindFailure& failure) {
    const int error = failure.error;
    // "Everywhere" includes IPv6 only where the host has it.
    if (!map.address && !failure.endpoint.address.is_v4() && network_.ipv4 &&
        (error == EAFNOSUPPORT || error == EADDRNOTAVAIL)) {
      return true;
    }
    const bool taken = error == EADDRINUSE || error == EACCES;
    if (map.if_taken != policy::IfTaken::kTell) {
      return taken && map.if_taken == policy::IfTaken::kLeaveOut;
    }
    if (!taken && error != EADDRNOTAVAIL) return false;
    if (left_out_.count++ < LeftOut::kToldMax) {
      left_out_.told.push_back(text_of(map, failure, holders_));
    }
    return true;
  }

  sys::Kernel& kernel_;
  const flow::GuestNetwork& network_;
  NameHolders holders_;
  PublishedPorts& ports_;
  LeftOut& left_out_;
};

}  // namespace

std::vector<PublishedPorts> PublishedPorts::split(const flow::FrameOwner& owner) && {
  std::vector<PublishedPorts> parts(owner.workers());
  parts.front().tcp = std::move(tcp);
  for (Udp& port : udp) parts[owner.of_udp(port.guest.port)].udp.push_back(std::move(port));
  return parts;
}

std::expected<OpenedPorts, std::string> open_ports(sys::Kernel& kernel,
                                                   std::vector<policy::PortMap> maps,
                                                   const flow::GuestNetwork& network,
                                                   NameHolders holders) {
  OpenedPorts opened;
  Opening opening(kernel, network, holders, opened);
  for (policy::PortMap& map : maps) {
    const auto added = map.host_first.value == 0 ? opening.pick(map) : opening.add(map);
    if (!added) return std::unexpected(text_of(map, added.error(), holders));
  }
  opened.maps = std::move(maps);
  return opened;
}

}  // namespace sluice::driver
