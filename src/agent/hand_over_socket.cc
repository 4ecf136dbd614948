#include "agent/hand_over_socket.h"

#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "sys/sockaddr.h"
#include "sys/socket_options.h"

namespace sluice::agent {
namespace {

// TCP options by number (RFC 9293, 3.2; RFC 2018; RFC 7323), as TCP_REPAIR_OPTIONS names them.
constexpr std::uint32_t kOptionSegmentSize = 2;
constexpr std::uint32_t kOptionWindowScale = 3;
constexpr std::uint32_t kOptionSack = 4;

template <typename T>
std::expected<void, sys::SysError> set(const sys::KernelFd& fd, int level, int option,
                                       const T& value) {
  if (::setsockopt(fd.get(), level, option, &value, sizeof value) == 0) return {};
  return std::unexpected(sys::last_error(sys::SysOp::kSetSockOpt));
}

std::expected<void, sys::SysError> set_sequence(const sys::KernelFd& fd, int queue,
                                                wire::SeqNum next) {
  if (auto done = sys::set_option(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue); !done) return done;
  return set(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, next.value);
}

// Before connect(), which sizes the windows by the room there is. A low-water mark makes the
// kernel find room for that many bytes at once, without privileges and without an end to its own
// tuning, which SO_RCVBUF would be.
void make_room(const sys::KernelFd& fd, std::uint32_t receive_window) {
  sys::prefer_option(fd, SOL_SOCKET, SO_RCVLOWAT, static_cast<int>(receive_window));
  sys::prefer_option(fd, SOL_SOCKET, SO_RCVLOWAT, 1);
}

std::expected<void, sys::SysError> take_endpoints(const sys::KernelFd& fd,
                                                  const wire::TcpSnapshot& snapshot) {
  const sys::SocketAddress local = sys::to_sockaddr(snapshot.local);
  if (::bind(fd.get(), local.get(), local.length) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kBind));
  }
  auto done = set_sequence(fd, TCP_RECV_QUEUE, snapshot.receive_next);
  if (done) done = set_sequence(fd, TCP_SEND_QUEUE, snapshot.send_next);
  if (!done) return done;
  const sys::SocketAddress peer = sys::to_sockaddr(snapshot.peer);
  if (::connect(fd.get(), peer.get(), peer.length) == 0) return {};
  return std::unexpected(sys::last_error(sys::SysOp::kConnect));
}

std::expected<void, sys::SysError> take_options(const sys::KernelFd& fd,
                                                const wire::TcpSnapshot& snapshot) {
  // connect() has chosen a scale of its own, so scales of zero must be told too.
  const std::uint32_t scales =
      snapshot.scaled
          ? snapshot.send_scale | static_cast<std::uint32_t>(snapshot.receive_scale) << 16
          : 0;
  const std::array options{tcp_repair_opt{kOptionSegmentSize, snapshot.segment_size},
                           tcp_repair_opt{kOptionWindowScale, scales},
                           tcp_repair_opt{kOptionSack, 0}};
  const std::size_t count = snapshot.sack ? options.size() : options.size() - 1;
  if (::setsockopt(fd.get(), IPPROTO_TCP, TCP_REPAIR_OPTIONS, options.data(),
                   static_cast<socklen_t>(count * sizeof options[0])) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kSetSockOpt));
  }
  // The kernel reckons the size of its segments when connect() is called, before it knows that of
  // the peer's, and again when the peer offers more than ever. One byte less than it offers makes
  // the first answer do that.
  const std::uint32_t send_window = snapshot.send_window - std::min(snapshot.send_window, 1U);
  const tcp_repair_window window{.snd_wl1 = snapshot.receive_next.value,
                                 .snd_wnd = send_window,
                                 .max_window = send_window,
                                 .rcv_wnd = snapshot.receive_window,
                                 .rcv_wup = snapshot.receive_next.value};
  return set(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, window);
}

}  // namespace

std::expected<sys::KernelFd, sys::SysError> HandOverSocket::make_frozen(wire::IpFamily family) {
  auto fd =
      sys::open_socket(sys::real_kernel(), sys::address_family(family), SOCK_STREAM, IPPROTO_TCP);
  if (!fd) return fd;
  auto done = sys::make_transparent(*fd, family);
  if (done) done = sys::set_option(*fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
  if (!done) return std::unexpected(done.error());
  return fd;
}

std::expected<HandOverSocket, sys::SysError> HandOverSocket::make(
    const wire::TcpSnapshot& snapshot) {
  auto fd = make_frozen(snapshot.local.address.family());
  if (!fd) return std::unexpected(fd.error());
  make_room(*fd, snapshot.receive_window);
  constexpr std::array kCongestion = {'c', 'u', 'b', 'i', 'c'};
  (void)set(*fd, IPPROTO_TCP, TCP_CONGESTION, kCongestion);
  sys::prefer_option(*fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // Until somebody takes it over, whatever closes it breaks the connection: a FIN would pass for
  // the end of the stream.
  (void)set(*fd, SOL_SOCKET, SO_LINGER, linger{.l_onoff = 1, .l_linger = 0});
  auto done = take_endpoints(*fd, snapshot);
  if (done) done = take_options(*fd, snapshot);
  if (!done) return std::unexpected(done.error());
  return HandOverSocket(std::move(*fd));
}

HandOverSocket& HandOverSocket::operator=(HandOverSocket&& other) noexcept {
  if (this != &other) {
    discard();
    fd_ = std::move(other.fd_);
  }
  return *this;
}

std::expected<void, sys::SysError> HandOverSocket::go_live() {
  if (auto done = sys::set_option(fd_, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF); !done) return done;
  // The end of the repair forbids to share the port. A server of the guest's on the same port
  // number could not bind() then.
  sys::prefer_option(fd_, SOL_SOCKET, SO_REUSEADDR, 1);
  return {};
}

std::expected<void, sys::SysError> HandOverSocket::deafen() {
  sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
  return set(fd_, SOL_SOCKET, SO_ATTACH_FILTER, sock_fprog{.len = 1, .filter = &drop});
}

std::expected<void, sys::SysError> HandOverSocket::hear() {
  return sys::set_option(fd_, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

HandOverSocket::State HandOverSocket::state() const {
  const auto info = sys::read_tcp_info(fd_.kernel(), fd_.get());
  if (!info) return {.progress = Progress::kDead};
  State out{.has_received = info->bytes_received > 0};
  if (!info->established) {
    out.progress = Progress::kDead;
  } else if (info->segments_in > 0) {
    out.progress = Progress::kAnswered;
  }
  return out;
}

int HandOverSocket::take_error() const {
  const auto error = sys::get_option(fd_, SOL_SOCKET, SO_ERROR);
  if (!error) return error.error().error;
  return *error != 0 ? *error : ECONNABORTED;
}

void HandOverSocket::discard() {
  if (!fd_.valid()) return;
  // close() of a socket under repair says nothing to the other side.
  sys::prefer_option(fd_, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
  fd_.reset();
}

}  // namespace sluice::agent
