#include "agent/fast_path_setup.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <span>
#include <utility>

#include "agent/hand_over_socket.h"
#include "netlink/netlink.h"
#include "sys/sockaddr.h"
#include "sys/socket_options.h"

namespace sluice::agent {
namespace {

// Packets that the engine passes on to new sockets wait here, a window of the guest's or two.
constexpr int kInjectBuffer = 4 << 20;

std::unexpected<sys::SetupError> missing(const char* step, int error) {
  return std::unexpected(sys::SetupError{step, error, ""});
}

// Whole packets into the loopback. Connected to it and bound to it, so that nothing from here can
// leave by the tap, whatever has become of rules and routes.
std::expected<sys::KernelFd, sys::SetupError> open_inject_socket(wire::IpFamily family) {
  const bool v4 = family == wire::IpFamily::kV4;
  const char* const step = v4 ? "raw socket (IPv4)" : "raw socket (IPv6)";
  auto fd =
      sys::open_socket(sys::real_kernel(), sys::address_family(family), SOCK_RAW, IPPROTO_RAW);
  if (!fd) return missing(step, fd.error().error);
  if (const auto bound = sys::bind_to_device(*fd, "lo"); !bound) {
    return missing(step, bound.error().error);
  }
  const wire::IpAddress target = v4 ? sys::from_in_addr({.s_addr = htonl(INADDR_LOOPBACK)})
                                    : sys::from_in6_addr(in6addr_loopback);
  const sys::SocketAddress address = sys::to_sockaddr({target, wire::Port{0}});
  if (::connect(fd->get(), address.get(), address.length) != 0) return missing(step, errno);
  sys::force_buffer(*fd, sys::BufferKind::kSend, kInjectBuffer);
  return std::move(*fd);
}

std::expected<void, sys::SetupError> probe_sockets(wire::IpFamily family) {
  const auto socket = HandOverSocket::make_frozen(family);
  if (socket) return {};
  return missing(family == wire::IpFamily::kV4 ? "TCP_REPAIR with IP_TRANSPARENT"
                                               : "TCP_REPAIR with IPV6_TRANSPARENT",
                 socket.error().error);
}

std::expected<InjectSockets, sys::SetupError> open_inject_sockets(
    std::span<const wire::IpFamily> families) {
  InjectSockets sockets;
  for (const wire::IpFamily family : families) {
    auto opened = open_inject_socket(family);
    if (!opened) return std::unexpected(opened.error());
    (family == wire::IpFamily::kV4 ? sockets.v4 : sockets.v6) = std::move(*opened);
  }
  return sockets;
}

}  // namespace

std::expected<FastPathPieces, sys::SetupError> set_up_fast_path(const AgentContext& context,
                                                                std::size_t workers) {
  std::vector<wire::IpFamily> families;
  if (context.ipv4) families.push_back(wire::IpFamily::kV4);
  if (context.ipv6) families.push_back(wire::IpFamily::kV6);
  for (const wire::IpFamily family : families) {
    if (auto done = probe_sockets(family); !done) return std::unexpected(done.error());
  }
  const auto index = netlink::interface_index(context.interface);
  if (!index) {
    return std::unexpected(
        sys::SetupError{"find interface " + context.interface, index.error().error, ""});
  }
  auto divert = Divert::set_up(*index, families);
  if (!divert) return std::unexpected(divert.error());
  std::vector<InjectSockets> inject;
  while (inject.size() < workers) {
    auto opened = open_inject_sockets(families);
    if (!opened) return std::unexpected(opened.error());
    inject.push_back(std::move(*opened));
  }
  return FastPathPieces{std::move(*divert), std::move(inject)};
}

}  // namespace sluice::agent
