#include "host/stream_connect.h"

#include <netinet/tcp.h>

#include "sys/sockaddr.h"
#include "sys/unix_socket.h"

namespace sluice::host {
namespace {

std::expected<sys::KernelFd, sys::SysError> open_stream(sys::Kernel& kernel, int family,
                                                        bool multipath) {
  if (multipath) {
    auto fd = sys::open_socket(kernel, family, SOCK_STREAM, sys::kProtocolMptcp);
    if (fd) return fd;
  }
  return sys::open_socket(kernel, family, SOCK_STREAM, 0);
}

void prefer_options(const sys::KernelFd& fd, const StreamOptions& options) {
  sys::prefer_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.keepalive) sys::prefer_keepalive(fd, *options.keepalive);
  sys::prefer_buffers(fd, options.receive_buffer, options.send_buffer);
  if (options.fast_open) sys::prefer_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
}

std::expected<void, sys::SysError> bind_source(const sys::KernelFd& fd,
                                               const StreamOptions& options) {
  if (options.transparent) {
    const auto made = sys::make_transparent(fd, options.source->address.family());
    if (!made) return made;
    // The client's own connection may wait in TIME_WAIT under the same pair.
    sys::prefer_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  }
  if (options.source->port.value == 0) {
    // The port is chosen at connect(), where it need only be unique for this target.
    sys::prefer_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  }
  return sys::bind_to(fd, *options.source, options.scope_id);
}

std::expected<void, sys::SysError> require_options(const sys::KernelFd& fd,
                                                   const StreamOptions& options) {
  if (const auto bound = sys::bind_to_device(fd, options.device); !bound) return bound;
  if (const auto marked = sys::set_mark(fd, options.mark); !marked) return marked;
  if (options.source) return bind_source(fd, options);
  return {};
}

// The options were set before the connect.
constexpr TcpOptions kUntouched{.nodelay = false, .keepalive = false};

std::expected<StartedConnect, sys::SysError> start(sys::KernelFd fd,
                                                   const sys::SocketAddress& address) {
  sys::Kernel& kernel = fd.kernel();
  if (kernel.connect(fd.get(), address.get(), address.length) == 0) {
    return StartedConnect{TcpSocket::adopt(std::move(fd), kUntouched),
                          ConnectProgress::kEstablished};
  }
  if (errno != EINPROGRESS) return std::unexpected(sys::last_error(sys::SysOp::kConnect));
  // A second connect() would ask as well, but where the target has answered and reset already it
  // throws the answer away. Closed, by a refusal or a reset: the loop tells at once.
  TcpSocket socket = TcpSocket::adopt(std::move(fd), kUntouched);
  const bool established = socket.is_established();
  return StartedConnect{std::move(socket),
                        established ? ConnectProgress::kEstablished : ConnectProgress::kInProgress};
}

}  // namespace

std::expected<StartedConnect, sys::SysError> connect_stream(sys::Kernel& kernel,
                                                            const wire::Endpoint& target,
                                                            const StreamOptions& options) {
  auto fd = open_stream(kernel, sys::address_family(target.address.family()), options.multipath);
  if (!fd) return std::unexpected(fd.error());
  prefer_options(*fd, options);
  if (const auto set = require_options(*fd, options); !set) return std::unexpected(set.error());
  return start(std::move(*fd), sys::to_sockaddr(target, options.scope_id));
}

// tcp_reset() of Linux: a connection that was refused says ECONNREFUSED, one that was established
// ECONNRESET, or EPIPE where the target had sent a FIN.
ConnectReport connect_outcome(TcpSocket& socket) {
  const auto result = socket.connect_result();
  if (result) return {.outcome = ConnectOutcome::kEstablished};
  const int error = result.error().error;
  const bool was_established = error == ECONNRESET || error == EPIPE;
  return {
      .outcome = was_established ? ConnectOutcome::kEstablishedThenReset : ConnectOutcome::kFailed,
      .error = error};
}

std::expected<StartedConnect, sys::SysError> connect_unix(sys::Kernel& kernel,
                                                          std::string_view path) {
  const auto address = sys::unix_sockaddr(path);
  if (!address) return std::unexpected(sys::SysError{sys::SysOp::kConnect, ENAMETOOLONG});
  auto fd = sys::open_socket(kernel, AF_UNIX, SOCK_STREAM, 0);
  if (!fd) return std::unexpected(fd.error());
  if (kernel.connect(fd->get(), address->get(), address->length) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kConnect));
  }
  return StartedConnect{TcpSocket::adopt(std::move(*fd), kUntouched),
                        ConnectProgress::kEstablished};
}

}  // namespace sluice::host
