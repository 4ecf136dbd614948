#include "host/tcp_socket.h"

#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <climits>

#include "sys/sockaddr.h"
#include "sys/socket_options.h"

namespace sluice::host {
namespace {

msghdr message_of(std::span<const iovec> parts) {
  msghdr message{};
  // The kernel writes through iov_base on receive only; the array itself it never writes.
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = std::min<std::size_t>(parts.size(), IOV_MAX);
  return message;
}

void set_guard(const sys::KernelFd& fd, bool on) {
  const linger option{.l_onoff = on ? 1 : 0, .l_linger = 0};
  fd.kernel().setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option);
}

std::expected<std::size_t, sys::SysError> ask_count(const sys::KernelFd& fd,
                                                    unsigned long request) {
  int value = 0;
  if (fd.kernel().ioctl_int(fd.get(), request, &value) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kIoctl));
  }
  return static_cast<std::size_t>(std::max(value, 0));
}

}  // namespace

std::expected<TcpSocket, sys::SysError> TcpSocket::connect(sys::Kernel& kernel,
                                                           const wire::Endpoint& target,
                                                           const TcpOptions& options) {
  auto socket = open(kernel, target.address.family(), options);
  if (!socket) return socket;
  if (const auto started = socket->start_connect(target, options.scope_id); !started) {
    return std::unexpected(started.error());
  }
  return socket;
}

std::expected<TcpSocket, sys::SysError> TcpSocket::open(sys::Kernel& kernel, wire::IpFamily family,
                                                        const TcpOptions& options) {
  auto fd = sys::open_socket(kernel, sys::address_family(family), SOCK_STREAM, 0);
  if (!fd) return std::unexpected(fd.error());
  TcpSocket socket(std::move(*fd));
  prefer_tcp_options(socket.fd_, options);
  socket.guarded_ = options.guarded;
  if (const auto marked = sys::set_mark(socket.fd_, options.mark); !marked) {
    return std::unexpected(marked.error());
  }
  if (options.source) {
    const auto bound = socket.leave_by({.address = options.source});
    if (!bound) return std::unexpected(bound.error());
  }
  return socket;
}

[[gnu::cold]] std::expected<void, sys::SysError> TcpSocket::leave_by(const Outbound::Way& way) {
  if (const auto bound = sys::bind_to_device(fd_, way.device); !bound) return bound;
  if (!way.address) return {};
  // The port is chosen at connect(), where it need only be unique for this target.
  sys::prefer_option(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  return sys::bind_to(fd_, {*way.address, wire::Port{0}});
}

std::expected<void, sys::SysError> TcpSocket::start_connect(const wire::Endpoint& target,
                                                            std::uint32_t scope_id) {
  const sys::SocketAddress address = sys::to_sockaddr(target, scope_id);
  if (fd_.kernel().connect(fd_.get(), address.get(), address.length) != 0 && errno != EINPROGRESS) {
    return std::unexpected(sys::last_error(sys::SysOp::kConnect));
  }
  return {};
}

bool TcpSocket::is_established() const {
  const auto info = sys::read_tcp_info(fd_.kernel(), fd_.get());
  return info && info->established;
}

Duration TcpSocket::round_trip() const {
  const auto info = sys::read_tcp_info(fd_.kernel(), fd_.get());
  return info ? info->round_trip : Duration{};
}

TcpSocket TcpSocket::adopt(sys::KernelFd fd, const TcpOptions& options) {
  prefer_tcp_options(fd, options);
  return inherit(std::move(fd), options);
}

TcpSocket TcpSocket::inherit(sys::KernelFd fd, const TcpOptions& options) {
  TcpSocket socket(std::move(fd));
  socket.guarded_ = options.guarded;
  return socket;
}

// None of these can fail on a TCP socket but by a lack of memory, and none is worth a flow.
void prefer_tcp_options(const sys::KernelFd& fd, const TcpOptions& options) {
  if (options.nodelay) sys::prefer_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.keepalive) sys::prefer_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  if (options.urgent_inline) sys::prefer_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
  if (options.guarded) set_guard(fd, true);
  if (options.receive_buffer > 0) {
    sys::prefer_option(fd, SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
  }
}

std::expected<void, sys::SysError> TcpSocket::connect_result() {
  const auto error = sys::get_option(fd_, SOL_SOCKET, SO_ERROR);
  if (!error) return std::unexpected(error.error());
  if (*error != 0) return std::unexpected(sys::SysError{sys::SysOp::kConnect, *error});
  return {};
}

std::expected<std::size_t, sys::SysError> TcpSocket::send(std::span<const iovec> parts) {
  const msghdr message = message_of(parts);
  const ssize_t sent = fd_.kernel().sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (sys::would_block(errno)) return std::size_t{0};
  return std::unexpected(sys::last_error(sys::SysOp::kSend));
}

std::expected<sys::ReadResult, sys::SysError> TcpSocket::receive(std::span<const iovec> parts,
                                                                 int flags) {
  msghdr message = message_of(parts);
  const ssize_t got = fd_.kernel().recvmsg(fd_.get(), &message, flags | MSG_DONTWAIT);
  if (got > 0) return sys::ReadResult{sys::ReadStatus::kData, static_cast<std::size_t>(got)};
  if (got == 0) return sys::ReadResult{sys::ReadStatus::kEndOfStream, 0};
  if (sys::would_block(errno)) return sys::ReadResult{sys::ReadStatus::kWouldBlock, 0};
  return std::unexpected(sys::last_error(sys::SysOp::kReceive));
}

std::expected<sys::ReadResult, sys::SysError> TcpSocket::peek(std::span<const iovec> parts) {
  return receive(parts, MSG_PEEK);
}

std::expected<sys::ReadResult, sys::SysError> TcpSocket::read(std::span<const iovec> parts) {
  return receive(parts, 0);
}

std::expected<std::size_t, sys::SysError> TcpSocket::discard(std::size_t count) {
  std::size_t done = 0;
  while (done < count) {
    // tcp(7): with MSG_TRUNC the bytes are discarded rather than stored.
    const ssize_t gone =
        fd_.kernel().recv(fd_.get(), nullptr, count - done, MSG_TRUNC | MSG_DONTWAIT);
    if (gone < 0 && errno == EINTR) continue;
    if (gone < 0 && !sys::would_block(errno))
      return std::unexpected(sys::last_error(sys::SysOp::kReceive));
    if (gone <= 0) break;
    done += static_cast<std::size_t>(gone);  // An urgent byte ends one early.
  }
  return done;
}

std::expected<void, sys::SysError> TcpSocket::set_peek_offset(int offset) {
  return sys::set_option(fd_, SOL_SOCKET, SO_PEEK_OFF, offset);
}

void TcpSocket::guard() {
  if (!fd_.valid() || guarded_) return;
  set_guard(fd_, true);
  guarded_ = true;
}

void TcpSocket::end_guard() {
  if (!fd_.valid() || !guarded_) return;
  set_guard(fd_, false);
  guarded_ = false;
}

std::expected<void, sys::SysError> TcpSocket::shutdown_write() {
  const bool done = fd_.kernel().shutdown(fd_.get(), SHUT_WR) == 0;
  const sys::SysError error = done ? sys::SysError{} : sys::last_error(sys::SysOp::kShutdown);
  end_guard();
  if (done) return {};
  return std::unexpected(error);
}

void TcpSocket::reset() {
  guard();
  fd_.reset();
  guarded_ = false;
}

void TcpSocket::close() {
  end_guard();
  fd_.reset();
}

void TcpSocket::close_and_forget() {
  if (fd_.valid()) sys::prefer_option(fd_, IPPROTO_TCP, TCP_LINGER2, 1);
  close();
}

std::expected<std::uint32_t, sys::SysError> TcpSocket::unanswered_probes() {
  const auto info = sys::read_tcp_info(fd_.kernel(), fd_.get());
  if (!info) return std::unexpected(info.error());
  return info->unanswered_probes;
}

void TcpSocket::set_deaf(bool deaf) {
  if (!deaf) {
    sys::prefer_option(fd_, SOL_SOCKET, SO_DETACH_FILTER, 0);
    return;
  }
  // The kernel shows such a filter the segment from its TCP header on (RFC 9293, 3.1).
  constexpr std::uint32_t kFlagsAt = 13;
  constexpr std::uint32_t kRst = 0x04;
  constexpr std::uint32_t kWhole = 0xffff'ffff;
  std::array<sock_filter, 4> program{sock_filter{BPF_LD | BPF_B | BPF_ABS, 0, 0, kFlagsAt},
                                     sock_filter{BPF_JMP | BPF_JSET | BPF_K, 0, 1, kRst},
                                     sock_filter{BPF_RET | BPF_K, 0, 0, kWhole},
                                     sock_filter{BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  fd_.kernel().setsockopt(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

std::expected<std::size_t, sys::SysError> TcpSocket::unacknowledged_bytes() {
  return ask_count(fd_, SIOCOUTQ);
}

std::expected<std::size_t, sys::SysError> TcpSocket::readable_bytes() {
  return ask_count(fd_, SIOCINQ);
}

std::expected<std::size_t, sys::SysError> TcpSocket::send_buffer_size() {
  const auto size = sys::get_option(fd_, SOL_SOCKET, SO_SNDBUF);
  if (!size) return std::unexpected(size.error());
  return static_cast<std::size_t>(std::max(*size, 0));
}

std::expected<wire::Endpoint, sys::SysError> TcpSocket::local_endpoint() const {
  return sys::local_endpoint_of(fd_);
}

bool peek_offset_supported(sys::Kernel& kernel, wire::IpFamily family) {
  auto fd = sys::open_socket(kernel, sys::address_family(family), SOCK_STREAM, 0);
  return fd && sys::set_option(*fd, SOL_SOCKET, SO_PEEK_OFF, 0).has_value();
}

}  // namespace sluice::host
