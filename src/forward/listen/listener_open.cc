#include "forward/listen/listener_open.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "sys/sockaddr.h"
#include "sys/socket_options.h"
#include "sys/unix_socket.h"

namespace sluice::forward {
namespace {

constexpr int kBacklog = 4096;
constexpr int kFastOpenQueue = 1024;
// Datagrams have no back-pressure: what bursts between two turns of a loop must fit.
constexpr int kDatagramBuffer = 4 * 1024 * 1024;

[[nodiscard]] int int_of(std::uint32_t value) {
  return static_cast<int>(std::min<std::uint32_t>(value, INT_MAX));
}

// `step` is what failed, when it is not the address: "device 'eth9'".
[[nodiscard]] sys::SetupError failure(int error, std::string step = "") {
  return {std::move(step), error, {}};
}

[[nodiscard]] std::expected<sys::KernelFd, sys::SetupError> make_socket(sys::Kernel& kernel,
                                                                        int family,
                                                                        const ListenerKey& spec,
                                                                        const SocketPlan& options,
                                                                        OpenedSocket& out) {
  const bool udp = spec.protocol == policy::Protocol::kUdp;
  if (!udp && options.multipath) {
    auto socket = sys::open_socket(kernel, family, SOCK_STREAM, sys::kProtocolMptcp);
    if (socket) return std::move(*socket);
    out.multipath_refused = true;
  }
  auto socket = sys::open_socket(kernel, family, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
  if (!socket) return std::unexpected(failure(socket.error().error));
  return std::move(*socket);
}

[[nodiscard]] std::expected<void, sys::SetupError> checked(
    std::expected<void, sys::SysError> result) {
  if (result) return {};
  return std::unexpected(failure(result.error().error));
}

// Before bind().
[[nodiscard]] std::expected<void, sys::SetupError> prepare(const sys::KernelFd& socket, int family,
                                                           const ListenerKey& spec,
                                                           const SocketPlan& options,
                                                           Sharing sharing) {
  if (spec.protocol == policy::Protocol::kUdp) {
    set_datagram_options(socket, options);
  } else {
    // A port whose connections of an earlier run are in TIME_WAIT is free.
    if (const auto set = sys::set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1); !set) {
      return checked(set);
    }
    set_stream_options(socket, options);
  }
  if (spec.kind == ListenerKind::kEverywhere && family == AF_INET6) {
    if (const auto set = sys::set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, 0); !set) {
      return checked(set);
    }
  }
  if (sharing == Sharing::kBesideOurOwn) {
    if (const auto set = sys::set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1); !set) {
      return checked(set);
    }
  }
  if (const auto bound = sys::bind_to_device(socket, options.listen_device); !bound) {
    return std::unexpected(
        failure(bound.error().error, fmt::format("device '{}'", options.listen_device)));
  }
  return {};
}

[[nodiscard]] std::expected<OpenedSocket, sys::SetupError> open_at(sys::Kernel& kernel,
                                                                   const wire::Endpoint& endpoint,
                                                                   const ListenerKey& spec,
                                                                   const SocketPlan& options,
                                                                   Sharing sharing) {
  const int family = sys::address_family(endpoint.address.family());
  OpenedSocket opened;
  auto socket = make_socket(kernel, family, spec, options, opened);
  if (!socket) return std::unexpected(std::move(socket.error()));
  opened.socket = std::move(*socket);
  if (auto ready = prepare(opened.socket, family, spec, options, sharing); !ready) {
    return std::unexpected(std::move(ready.error()));
  }
  const sys::SocketAddress address = sys::to_sockaddr(endpoint, spec.scope_id);
  if (kernel.bind(opened.socket.get(), address.get(), address.length) != 0) {
    return std::unexpected(failure(errno));
  }
  if (sharing == Sharing::kFirst) {
    if (const auto set = sys::set_option(opened.socket, SOL_SOCKET, SO_REUSEPORT, 1); !set) {
      return std::unexpected(failure(set.error().error));
    }
  }
  if (spec.protocol == policy::Protocol::kTcp &&
      kernel.listen(opened.socket.get(), kBacklog) != 0) {
    return std::unexpected(failure(errno));
  }
  const auto bound = sys::local_endpoint_of(opened.socket);
  if (!bound) return std::unexpected(failure(bound.error().error));
  opened.bound = *bound;
  return opened;
}

}  // namespace

void set_stream_options(const sys::KernelFd& socket, const SocketPlan& options) {
  sys::prefer_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  const KeepAlivePlan& alive = options.keepalive;
  if (alive.enabled) {
    sys::prefer_keepalive(socket, {.idle_seconds = alive.idle_seconds,
                                   .interval_seconds = alive.interval_seconds,
                                   .count = alive.count});
  } else {
    sys::prefer_option(socket, SOL_SOCKET, SO_KEEPALIVE, 0);  // One of systemd's may have it.
  }
  sys::prefer_buffers(socket, options.receive_buffer, options.send_buffer);
  if (options.fast_open) sys::prefer_option(socket, IPPROTO_TCP, TCP_FASTOPEN, kFastOpenQueue);
}

void set_datagram_options(const sys::KernelFd& socket, const SocketPlan& options) {
  // Those of IPv4 concern a dual-stack socket too, but IPV6_RECVPKTINFO tells of both families.
  sys::prefer_option(socket, IPPROTO_IP, IP_RECVERR, 1);
  sys::prefer_option(socket, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  if (sys::get_option(socket, SOL_SOCKET, SO_DOMAIN).value_or(AF_INET) == AF_INET) {
    sys::prefer_option(socket, IPPROTO_IP, IP_PKTINFO, 1);
  } else {
    sys::prefer_option(socket, IPPROTO_IPV6, IPV6_RECVERR, 1);
    sys::prefer_option(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    sys::prefer_option(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
  }
  sys::prefer_option(socket, SOL_UDP, UDP_GRO, 1);
  const auto size_of = [](std::uint32_t wanted) {
    return wanted > 0 ? int_of(wanted) : kDatagramBuffer;
  };
  sys::force_buffer(socket, sys::BufferKind::kReceive, size_of(options.receive_buffer));
  sys::force_buffer(socket, sys::BufferKind::kSend, size_of(options.send_buffer));
}

std::expected<OpenedSocket, sys::SetupError> open_inet_listener(sys::Kernel& kernel,
                                                                const ListenerKey& spec,
                                                                const SocketPlan& options,
                                                                Sharing sharing) {
  auto opened = open_at(kernel, spec.endpoint, spec, options, sharing);
  if (opened || spec.kind != ListenerKind::kEverywhere) return opened;
  const int error = opened.error().error;
  if (error != EAFNOSUPPORT && error != EADDRNOTAVAIL) return opened;
  // IPv6 is off.
  const wire::Endpoint v4{wire::IpAddress::v4(std::uint32_t{0}), spec.endpoint.port};
  return open_at(kernel, v4, spec, options, sharing);
}

std::expected<sys::KernelFd, sys::SetupError> open_unix_listener(sys::Kernel& kernel,
                                                                 const std::string& path) {
  auto socket = sys::bind_unix(kernel, SOCK_STREAM, path, 0666);
  if (!socket) return std::unexpected(failure(socket.error().error));
  sys::BoundPath made(path);
  if (kernel.listen(socket->get(), kBacklog) != 0) return std::unexpected(failure(errno));
  made.forget();
  return std::move(*socket);
}

std::expected<sys::KernelFd, sys::SetupError> duplicate(const sys::KernelFd& socket) {
  const int fd = socket.kernel().fcntl_int(socket.get(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return std::unexpected(failure(errno));
  return sys::KernelFd(socket.kernel(), fd);
}

std::string describe(const sys::SetupError& error, const ListenerKey& spec) {
  std::string hint;
  if (error.error == EADDRINUSE) {
    hint = spec.kind == ListenerKind::kUnix
               ? "; another program listens there, or it is no socket: remove it or choose another"
               : "; another program has this port: choose another, or stop that program";
  } else if (error.error == EACCES && spec.kind != ListenerKind::kUnix) {
    hint = "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
  } else if (error.error == EADDRNOTAVAIL) {
    hint = "; this host has no such address";
  } else if (error.error == EMFILE || error.error == ENFILE) {
    hint = "; raise the limit on open files (ulimit -n, LimitNOFILE=)";
  } else if (error.error == EPERM && !error.step.empty()) {
    hint = "; it needs CAP_NET_RAW";
  } else if (error.error == ENAMETOOLONG && spec.kind == ListenerKind::kUnix) {
    hint = "; a socket's path has at most 107 bytes";
  }
  return fmt::format("cannot listen on {}: {}{}{}{}", place_text(spec), error.step,
                     error.step.empty() ? "" : ": ", sys::errno_text(error.error), hint);
}

}  // namespace sluice::forward
