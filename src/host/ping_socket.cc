#include "host/ping_socket.h"

#include <array>

#include "sys/control_message.h"
#include "sys/sockaddr.h"
#include "sys/socket_options.h"

namespace sluice::host {
namespace {

constexpr std::size_t kControlSize = 128;

int protocol_of(wire::IpFamily family) {
  return family == wire::IpFamily::kV4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
}

}  // namespace

std::expected<PingSocket, sys::SysError> PingSocket::open(sys::Kernel& kernel,
                                                          wire::IpFamily family,
                                                          const Outbound::Way& way) {
  auto fd = sys::open_socket(kernel, sys::address_family(family), SOCK_DGRAM, protocol_of(family));
  if (!fd) return std::unexpected(fd.error());
  const bool v4 = family == wire::IpFamily::kV4;
  const auto errors = v4 ? sys::set_option(*fd, IPPROTO_IP, IP_RECVERR, 1)
                         : sys::set_option(*fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
  if (!errors) return std::unexpected(errors.error());
  if (const auto bound = sys::bind_to_device(*fd, way.device); !bound) {
    return std::unexpected(bound.error());
  }
  // Port 0 lets the kernel choose the identifier now, so that identifier() is right at once.
  const wire::IpAddress any = v4 ? wire::IpAddress::v4(0U) : wire::IpAddress{};
  if (const auto bound = sys::bind_to(*fd, {way.address.value_or(any), wire::Port{0}}); !bound) {
    return std::unexpected(bound.error());
  }
  return PingSocket(std::move(*fd), family);
}

std::expected<std::uint16_t, sys::SysError> PingSocket::identifier() const {
  const auto endpoint = sys::local_endpoint_of(fd_);
  if (!endpoint) return std::unexpected(endpoint.error());
  return endpoint->port.value;
}

std::expected<bool, sys::SysError> PingSocket::send(const wire::IpAddress& target, ByteView message,
                                                    std::uint8_t hop_limit) {
  sys::SocketAddress address = sys::to_sockaddr({target, wire::Port{0}});
  // The kernel does not write to what it sends.
  iovec part{.iov_base = const_cast<std::uint8_t*>(message.data()), .iov_len = message.size()};
  alignas(cmsghdr) std::array<std::uint8_t, kControlSize> control;
  sys::ControlWriter writer(control);
  hop_limit_.expect(fd_, family_, hop_limit);
  if (hop_limit_.must_say(target, hop_limit)) writer.add_hop_limit(family_, hop_limit);
  msghdr header{};
  header.msg_name = address.get();
  header.msg_namelen = address.length;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  writer.attach_to(header);
  // A second try: the first may only have told of an ICMP error about an earlier request.
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (fd_.kernel().sendmsg(fd_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (sys::would_block(errno)) return false;
  }
  return std::unexpected(sys::last_error(sys::SysOp::kSend));
}

std::expected<std::optional<PingReply>, sys::SysError> PingSocket::receive(MutableBytes buffer) {
  sys::SocketAddress source;
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  for (int attempt = 0; attempt < 2; ++attempt) {
    msghdr header{};
    header.msg_name = source.get();
    header.msg_namelen = sizeof source.storage;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    const ssize_t got = fd_.kernel().recvmsg(fd_.get(), &header, MSG_DONTWAIT);
    if (got >= 0) {
      PingReply reply;
      reply.length = static_cast<std::size_t>(got);
      if (const auto from = sys::from_sockaddr(source.storage, header.msg_namelen)) {
        reply.source = from->address;
      }
      return reply;
    }
    if (sys::would_block(errno)) return std::nullopt;
  }
  return std::unexpected(sys::last_error(sys::SysOp::kReceive));
}

bool ping_permitted(sys::Kernel& kernel, wire::IpFamily family) {
  return sys::open_socket(kernel, sys::address_family(family), SOCK_DGRAM, protocol_of(family))
      .has_value();
}

}  // namespace sluice::host
