#include "host/socket_options.h"

#include "host/sockaddr.h"

namespace sluice::host {

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

std::expected<void, SysError> bind_to(const KernelFd& fd, const wire::Endpoint& endpoint) {
  const SocketAddress address = to_sockaddr(endpoint);
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

}  // namespace sluice::host
