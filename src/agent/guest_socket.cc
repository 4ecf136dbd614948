#include "agent/guest_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "sys/sockaddr.h"
#include "sys/socket_options.h"

namespace sluice::agent {
namespace {

std::expected<void, sys::SysError> bind_and_listen(const sys::KernelFd& fd,
                                                   const GuestSocket& wanted) {
  // The other family's port of this number is another order's.
  if (wanted.family == wire::IpFamily::kV6) {
    if (auto done = sys::set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1); !done) return done;
  }
  if (!wanted.datagrams) {
    // Connections of an earlier server of this port may linger.
    if (auto done = sys::set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1); !done) return done;
  }
  if (auto done = sys::bind_to(fd, *wanted.bound); !done) return done;
  // What the namespace allows (net.core.somaxconn) bounds the backlog.
  if (wanted.datagrams || fd.kernel().listen(fd.get(), SOMAXCONN) == 0) return {};
  return std::unexpected(sys::last_error(sys::SysOp::kListen));
}

}  // namespace

std::expected<sys::KernelFd, sys::SysError> make_guest_socket(const GuestSocket& wanted) {
  auto fd = sys::open_socket(sys::real_kernel(), sys::address_family(wanted.family),
                             wanted.datagrams ? SOCK_DGRAM : SOCK_STREAM, 0);
  if (!fd || !wanted.bound) return fd;
  if (auto done = bind_and_listen(*fd, wanted); !done) return std::unexpected(done.error());
  return fd;
}

void answer_socket_order(int channel, const SocketOrder& order) {
  std::vector<sys::KernelFd> made;
  std::vector<int> passed;
  int error = 0;
  while (made.size() < order.count && error == 0) {
    if (auto socket = make_guest_socket(order.socket)) {
      passed.push_back(made.emplace_back(std::move(*socket)).get());
    } else {
      error = socket.error().error;
    }
  }
  // Too many descriptors under way (ETOOMANYREFS), say, do not hold up the word of it.
  if (const auto sent = send_sockets(channel, order.tag, error, passed); !sent) {
    (void)send_sockets(channel, order.tag, sent.error().error, {});
  }
}

}  // namespace sluice::agent
