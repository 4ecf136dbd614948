#include "host/listener.h"

#include "host/accept.h"
#include "sys/sockaddr.h"
#include "sys/socket_options.h"

namespace sluice::host {

TcpListener TcpListener::adopt(sys::KernelFd fd, const TcpOptions& accepted) {
  prefer_tcp_options(fd, accepted);
  return {std::move(fd), accepted};
}

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
  if (options.freebind) {
    const auto set = sys::allow_any_address(*fd, endpoint.address.family());
    if (!set) return std::unexpected(set.error());
  }
  if (const auto set = sys::bind_to_device(*fd, options.device); !set) {
    return std::unexpected(set.error());
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
  auto accepted = accept_from(fd_);
  if (!accepted) return std::unexpected(accepted.error());
  // TCP has a peer for each.
  if (!*accepted || !(*accepted)->peer) return std::nullopt;
  return AcceptedConnection{TcpSocket::inherit(std::move((*accepted)->socket), accepted_),
                            *(*accepted)->peer};
}

}  // namespace sluice::host
