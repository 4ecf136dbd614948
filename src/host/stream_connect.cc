#include "host/stream_connect.h"

#include <netinet/tcp.h>

#include "host/sockaddr.h"
#include "host/unix_address.h"

namespace sluice::host {
namespace {

std::expected<KernelFd, SysError> open_stream(Kernel& kernel, int family, bool multipath) {
  if (multipath) {
    auto fd = open_socket(kernel, family, SOCK_STREAM, kProtocolMptcp);
    if (fd) return fd;
  }
  return open_socket(kernel, family, SOCK_STREAM, 0);
}

void prefer_options(const KernelFd& fd, const StreamOptions& options) {
  prefer_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.keepalive) prefer_keepalive(fd, *options.keepalive);
  prefer_buffers(fd, options.receive_buffer, options.send_buffer);
  if (options.fast_open) prefer_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
}

std::expected<void, SysError> bind_source(const KernelFd& fd, const StreamOptions& options) {
  if (options.transparent) {
    const auto made = make_transparent(fd, options.source->address.family());
    if (!made) return made;
    // The client's own connection may wait in TIME_WAIT under the same pair.
    prefer_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  }
  if (options.source->port.value == 0) {
    // The port is chosen at connect(), where it need only be unique for this target.
    prefer_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  }
  return bind_to(fd, *options.source, options.scope_id);
}

std::expected<void, SysError> require_options(const KernelFd& fd, const StreamOptions& options) {
  if (const auto bound = bind_to_device(fd, options.device); !bound) return bound;
  if (const auto marked = set_mark(fd, options.mark); !marked) return marked;
  if (options.source) return bind_source(fd, options);
  return {};
}

// The options were set before the connect.
constexpr TcpOptions kUntouched{.nodelay = false, .keepalive = false};

std::expected<StartedConnect, SysError> start(KernelFd fd, const SocketAddress& address) {
  Kernel& kernel = fd.kernel();
  if (kernel.connect(fd.get(), address.get(), address.length) == 0) {
    return StartedConnect{TcpSocket::adopt(std::move(fd), kUntouched),
                          ConnectProgress::kEstablished};
  }
  if (errno != EINPROGRESS) return std::unexpected(last_error(SysOp::kConnect));
  // A second connect() would ask as well, but where the target has answered and reset already it
  // throws the answer away. Closed, by a refusal or a reset: the loop tells at once.
  TcpSocket socket = TcpSocket::adopt(std::move(fd), kUntouched);
  const bool established = socket.is_established();
  return StartedConnect{std::move(socket),
                        established ? ConnectProgress::kEstablished : ConnectProgress::kInProgress};
}

}  // namespace

std::expected<StartedConnect, SysError> connect_stream(Kernel& kernel, const wire::Endpoint& target,
                                                       const StreamOptions& options) {
  auto fd = open_stream(kernel, address_family(target.address.family()), options.multipath);
  if (!fd) return std::unexpected(fd.error());
  prefer_options(*fd, options);
  if (const auto set = require_options(*fd, options); !set) return std::unexpected(set.error());
  return start(std::move(*fd), to_sockaddr(target, options.scope_id));
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

std::expected<StartedConnect, SysError> connect_unix(Kernel& kernel, std::string_view path) {
  const auto address = unix_sockaddr(path);
  if (!address) return std::unexpected(SysError{SysOp::kConnect, ENAMETOOLONG});
  auto fd = open_socket(kernel, AF_UNIX, SOCK_STREAM, 0);
  if (!fd) return std::unexpected(fd.error());
  if (kernel.connect(fd->get(), address->get(), address->length) != 0) {
    return std::unexpected(last_error(SysOp::kConnect));
  }
  return StartedConnect{TcpSocket::adopt(std::move(*fd), kUntouched),
                        ConnectProgress::kEstablished};
}

}  // namespace sluice::host
