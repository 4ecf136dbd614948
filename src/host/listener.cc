#include "host/listener.h"

#include "sys/sockaddr.h"
#include "sys/socket_options.h"

namespace sluice::host {
namespace {

// accept(2): errors that belong to the connection in the queue, not to the listener.
bool is_lost_connection(int error) {
  switch (error) {
    case ECONNABORTED:
    case EINTR:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH: return true;
    default: return false;
  }
}

}  // namespace

std::expected<TcpListener, sys::SysError> TcpListener::open(sys::Kernel& kernel,
                                                            const wire::Endpoint& endpoint,
                                                            const ListenOptions& options) {
  auto fd =
      sys::open_socket(kernel, sys::address_family(endpoint.address.family()), SOCK_STREAM, 0);
  if (!fd) return std::unexpected(fd.error());
  if (const auto set = sys::set_option(*fd, SOL_SOCKET, SO_REUSEADDR, 1); !set) {
    return std::unexpected(set.error());
  }
  prefer_tcp_options(*fd, options.accepted);
  if (!endpoint.address.is_v4()) {
    const int only_v6 = options.dual_stack ? 0 : 1;
    if (const auto set = sys::set_option(*fd, IPPROTO_IPV6, IPV6_V6ONLY, only_v6); !set) {
      return std::unexpected(set.error());
    }
  }
  if (const auto bound = sys::bind_to(*fd, endpoint); !bound) return std::unexpected(bound.error());
  if (kernel.listen(fd->get(), options.backlog) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kListen));
  }
  return TcpListener(std::move(*fd), options.accepted);
}

std::expected<wire::Endpoint, sys::SysError> TcpListener::local_endpoint() const {
  return sys::local_endpoint_of(fd_);
}

std::expected<std::optional<AcceptedConnection>, sys::SysError> TcpListener::accept() {
  // More lost connections in a row than this means that something else is wrong.
  constexpr int kAttempts = 16;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    sys::SocketAddress peer;
    const int fd =
        fd_.kernel().accept4(fd_.get(), peer.get(), &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      sys::KernelFd owned(fd_.kernel(), fd);
      const auto endpoint = sys::from_sockaddr(peer.storage, peer.length);
      if (!endpoint) continue;
      return AcceptedConnection{TcpSocket::inherit(std::move(owned), accepted_), *endpoint};
    }
    if (errno == EAGAIN) return std::nullopt;
    if (!is_lost_connection(errno)) return std::unexpected(sys::last_error(sys::SysOp::kAccept));
  }
  return std::nullopt;
}

}  // namespace sluice::host
