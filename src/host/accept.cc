#include "host/accept.h"

#include <algorithm>
#include <cerrno>

#include "sys/sockaddr.h"

namespace sluice::host {

// accept(2), "Error handling": Linux passes pending network errors of the new socket on, and a
// reliable program takes them for "try again".
bool is_lost_connection(int error) {
  switch (error) {
    case ECONNABORTED:
    case ECONNRESET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EINTR:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPERM:  // A firewall's rules forbid this one.
    case EPROTO:
    case ETIMEDOUT: return true;
    default: return false;
  }
}

std::expected<std::optional<Accepted>, sys::SysError> accept_from(const sys::KernelFd& listener) {
  // More lost connections in a row than this means that something else is wrong.
  constexpr int kAttempts = 16;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    sys::SocketAddress peer;
    const int fd = listener.kernel().accept4(listener.get(), peer.get(), &peer.length,
                                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      return Accepted{sys::KernelFd(listener.kernel(), fd),
                      sys::from_sockaddr(peer.storage, peer.length)};
    }
    if (errno == EAGAIN) return std::nullopt;
    if (!is_lost_connection(errno)) return std::unexpected(sys::last_error(sys::SysOp::kAccept));
  }
  return std::nullopt;
}

void AcceptShare::took(std::uint32_t count) {
  value_ = count == value_ ? std::min(2 * value_, kMax) : std::max(1U, count);
}

}  // namespace sluice::host
