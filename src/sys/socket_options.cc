#include "sys/socket_options.h"

#include <linux/tcp.h>  // It has all of TCP_INFO, and excludes <netinet/tcp.h>.

#include <algorithm>
#include <climits>

#include "sys/sockaddr.h"

namespace sluice::sys {
namespace {

// States of the kernel's (its include/net/tcp_states.h).
constexpr std::uint8_t kEstablished = 1;
constexpr std::uint8_t kCloseWait = 8;

void prefer_unless_zero(const KernelFd& fd, int level, int name, std::uint32_t value) {
  if (value == 0) return;
  prefer_option(fd, level, name, static_cast<int>(std::min<std::uint32_t>(value, INT_MAX)));
}

}  // namespace

std::expected<KernelFd, SysError> open_socket(Kernel& kernel, int family, int type, int protocol) {
  const int fd = kernel.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  if (fd < 0) return std::unexpected(last_error(SysOp::kSocket));
  return KernelFd(kernel, fd);
}

std::expected<void, SysError> set_option(const KernelFd& fd, int level, int name, int value) {
  if (fd.kernel().setsockopt(fd.get(), level, name, &value, sizeof value) == 0) return {};
  return std::unexpected(last_error(SysOp::kSetSockOpt));
}

void prefer_option(const KernelFd& fd, int level, int name, int value) {
  fd.kernel().setsockopt(fd.get(), level, name, &value, sizeof value);
}

std::expected<int, SysError> get_option(const KernelFd& fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  if (fd.kernel().getsockopt(fd.get(), level, name, &value, &length) == 0) return value;
  return std::unexpected(last_error(SysOp::kGetSockOpt));
}

std::expected<void, SysError> set_mark(const KernelFd& fd, std::optional<std::uint32_t> mark) {
  if (!mark) return {};
  return set_option(fd, SOL_SOCKET, SO_MARK, static_cast<int>(*mark));
}

std::expected<void, SysError> bind_to_device(const KernelFd& fd, std::string_view device) {
  if (device.empty() || fd.kernel().setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, device.data(),
                                               static_cast<socklen_t>(device.size())) == 0) {
    return {};
  }
  return std::unexpected(last_error(SysOp::kSetSockOpt));
}

std::expected<void, SysError> allow_any_address(const KernelFd& fd, wire::IpFamily family) {
  return family == wire::IpFamily::kV4 ? set_option(fd, IPPROTO_IP, IP_FREEBIND, 1)
                                       : set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
}

std::expected<void, SysError> make_transparent(const KernelFd& fd, wire::IpFamily family) {
  return family == wire::IpFamily::kV4 ? set_option(fd, IPPROTO_IP, IP_TRANSPARENT, 1)
                                       : set_option(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
}

void prefer_keepalive(const KernelFd& fd, const KeepAlive& times) {
  prefer_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  prefer_unless_zero(fd, IPPROTO_TCP, TCP_KEEPIDLE, times.idle_seconds);
  prefer_unless_zero(fd, IPPROTO_TCP, TCP_KEEPINTVL, times.interval_seconds);
  prefer_unless_zero(fd, IPPROTO_TCP, TCP_KEEPCNT, times.count);
}

void force_buffer(const KernelFd& fd, BufferKind kind, int size) {
  const bool receive = kind == BufferKind::kReceive;
  prefer_option(fd, SOL_SOCKET, receive ? SO_RCVBUF : SO_SNDBUF, size);
  prefer_option(fd, SOL_SOCKET, receive ? SO_RCVBUFFORCE : SO_SNDBUFFORCE, size);
}

void prefer_buffers(const KernelFd& fd, std::uint32_t receive, std::uint32_t send) {
  prefer_unless_zero(fd, SOL_SOCKET, SO_RCVBUF, receive);
  prefer_unless_zero(fd, SOL_SOCKET, SO_SNDBUF, send);
}

std::expected<void, SysError> bind_to(const KernelFd& fd, const wire::Endpoint& endpoint,
                                      std::uint32_t scope_id) {
  const SocketAddress address = to_sockaddr(endpoint, scope_id);
  if (fd.kernel().bind(fd.get(), address.get(), address.length) == 0) return {};
  return std::unexpected(last_error(SysOp::kBind));
}

std::expected<wire::Endpoint, SysError> local_endpoint_of(const KernelFd& fd) {
  SocketAddress address;
  if (fd.kernel().getsockname(fd.get(), address.get(), &address.length) != 0) {
    return std::unexpected(last_error(SysOp::kGetSockName));
  }
  if (const auto endpoint = from_sockaddr(address.storage, address.length)) return *endpoint;
  return std::unexpected(SysError{SysOp::kGetSockName, EAFNOSUPPORT});
}

std::expected<TcpInfo, SysError> read_tcp_info(Kernel& kernel, int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (kernel.getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) {
    return std::unexpected(last_error(SysOp::kGetSockOpt));
  }
  return TcpInfo{.established = info.tcpi_state == kEstablished || info.tcpi_state == kCloseWait,
                 .unanswered_probes = info.tcpi_probes,
                 .segments_in = info.tcpi_segs_in,
                 .bytes_received = info.tcpi_bytes_received,
                 .round_trip = std::chrono::microseconds(info.tcpi_rtt)};
}

}  // namespace sluice::sys
