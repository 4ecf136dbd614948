#include "host/udp_socket.h"

#include <netinet/udp.h>

#include <algorithm>

#include "sys/control_message.h"
#include "sys/sockaddr.h"
#include "sys/socket_options.h"

namespace sluice::host {
namespace {

struct Option {
  int level;
  int name;
  int value;
};

using Options = std::array<Option, 2>;
constexpr Options kV4Options = {
    Option{IPPROTO_IP, IP_RECVERR, 1},
    // No DF: what exceeds the path's MTU is fragmented.
    Option{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT},
};
constexpr Options kV6Options = {
    Option{IPPROTO_IPV6, IPV6_RECVERR, 1},
    Option{IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT},
};

// Segmentation that the kernel or the device refuses for this datagram: EIO without checksum
// offload, EINVAL or EMSGSIZE when a segment exceeds the path's MTU.
bool is_segmentation_refusal(int error) {
  return error == EIO || error == EINVAL || error == EMSGSIZE;
}

// What the kernel knows of the socket that sends, and need not be told with each datagram.
struct Sender {
  wire::IpFamily family;
  const HopLimit& hop_limit;
  bool connected;
};

// The message borrows the slot, DatagramScratch's for this datagram.
template <typename Slot>
void prepare_send(const OutgoingDatagram& datagram, const Sender& sender, Slot& slot,
                  msghdr& message) {
  message = {};
  if (!sender.connected) {
    message.msg_namelen = sys::fill_sockaddr(datagram.target, datagram.scope_id, slot.name);
    message.msg_name = &slot.name;
  }
  // The kernel does not write to what it sends.
  message.msg_iov = const_cast<iovec*>(datagram.payload.data());
  message.msg_iovlen = datagram.payload.size();
  sys::ControlWriter writer(slot.control);
  if (datagram.segment_size > 0) writer.add(SOL_UDP, UDP_SEGMENT, datagram.segment_size);
  if (sender.hop_limit.must_say(datagram.target.address, datagram.hop_limit)) {
    writer.add_hop_limit(sender.family, datagram.hop_limit);
  }
  if (datagram.source) writer.add_source(*datagram.source);
  writer.attach_to(message);
}

void take_control(const cmsghdr& header, IncomingDatagram& slot) {
  if (const auto size = sys::control_value<int>(header, SOL_UDP, UDP_GRO)) {
    slot.segment_size = static_cast<std::uint16_t>(*size);
  } else if (const auto v4 = sys::control_value<in_pktinfo>(header, IPPROTO_IP, IP_PKTINFO)) {
    slot.destination = sys::from_in_addr(v4->ipi_addr);
    slot.interface_index = static_cast<std::uint32_t>(v4->ipi_ifindex);
  } else if (const auto v6 = sys::control_value<in6_pktinfo>(header, IPPROTO_IPV6, IPV6_PKTINFO)) {
    slot.destination = sys::from_in6_addr(v6->ipi6_addr);
    slot.interface_index = v6->ipi6_ifindex;
  }
}

void finish_receive(mmsghdr& header, const sockaddr_storage& name, IncomingDatagram& slot) {
  msghdr& message = header.msg_hdr;
  slot.length = header.msg_len;
  slot.segment_size = 0;
  slot.destination.reset();
  slot.interface_index = 0;
  slot.truncated = (message.msg_flags & MSG_TRUNC) != 0;
  slot.source = sys::from_sockaddr(name, message.msg_namelen).value_or(wire::Endpoint{});
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control)) {
    take_control(*control, slot);
  }
  // The kernel states the size for a lone datagram, too.
  if (slot.segment_size >= slot.length) slot.segment_size = 0;
}

}  // namespace

DatagramScratch::DatagramScratch() : room_(std::make_unique<Room>()) {}

std::expected<UdpSocket, sys::SysError> UdpSocket::open(sys::Kernel& kernel, wire::IpFamily family,
                                                        const UdpOptions& options) {
  auto fd = sys::open_socket(kernel, sys::address_family(family), SOCK_DGRAM, IPPROTO_UDP);
  if (!fd) return std::unexpected(fd.error());
  UdpSocket socket(std::move(*fd), family);
  if (const auto applied = socket.apply(options); !applied) {
    return std::unexpected(applied.error());
  }
  if (options.bind) {
    if (const auto bound = socket.bind_as(options); !bound) return std::unexpected(bound.error());
  }
  return socket;
}

UdpSocket UdpSocket::adopt(sys::KernelFd fd) {
  const int domain = sys::get_option(fd, SOL_SOCKET, SO_DOMAIN).value_or(AF_INET);
  return {std::move(fd), domain == AF_INET6 ? wire::IpFamily::kV6 : wire::IpFamily::kV4};
}

[[gnu::cold]] std::expected<void, sys::SysError> UdpSocket::bind_as(const UdpOptions& options) {
  if (options.transparent) {
    if (const auto made = sys::make_transparent(fd_, family_); !made) return made;
    // Sessions of two rules may be of one client; their peers tell them apart.
    sys::prefer_option(fd_, SOL_SOCKET, SO_REUSEADDR, 1);
  }
  return sys::bind_to(fd_, *options.bind, options.scope_id);
}

[[gnu::cold]] std::expected<void, sys::SysError> UdpSocket::apply(const UdpOptions& options) {
  const bool v4 = family_ == wire::IpFamily::kV4;
  if (!v4) {
    if (const auto set = sys::set_option(fd_, IPPROTO_IPV6, IPV6_V6ONLY, 1); !set) return set;
  }
  for (const Option& option : v4 ? kV4Options : kV6Options) {
    if (const auto set = sys::set_option(fd_, option.level, option.name, option.value); !set)
      return set;
  }
  if (options.packet_info) {
    const auto set = v4 ? sys::set_option(fd_, IPPROTO_IP, IP_PKTINFO, 1)
                        : sys::set_option(fd_, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    if (!set) return set;
  }
  // Missing before Linux 5.0; datagrams then come one by one.
  if (options.receive_offload) sys::prefer_option(fd_, SOL_UDP, UDP_GRO, 1);
  sys::prefer_buffers(fd_, options.receive_buffer, options.send_buffer);
  if (options.freebind) {
    if (const auto set = sys::allow_any_address(fd_, family_); !set) return set;
  }
  if (const auto bound = sys::bind_to_device(fd_, options.device); !bound) return bound;
  return sys::set_mark(fd_, options.mark);
}

std::expected<wire::Endpoint, sys::SysError> UdpSocket::local_endpoint() const {
  return sys::local_endpoint_of(fd_);
}

bool UdpSocket::speaks(wire::IpFamily family) const {
  if (family == family_) return true;
  return family_ == wire::IpFamily::kV6 &&
         sys::get_option(fd_, IPPROTO_IPV6, IPV6_V6ONLY).value_or(1) == 0;
}

std::expected<void, sys::SysError> UdpSocket::connect(const wire::Endpoint& peer,
                                                      std::uint32_t scope_id) {
  const sys::SocketAddress address = sys::to_sockaddr(peer, scope_id);
  if (fd_.kernel().connect(fd_.get(), address.get(), address.length) != 0) {
    return std::unexpected(sys::last_error(sys::SysOp::kConnect));
  }
  connected_ = true;
  return {};
}

std::expected<std::size_t, sys::SysError> UdpSocket::send(
    DatagramScratch& scratch, std::span<const OutgoingDatagram> datagrams) {
  const std::size_t count = std::min(datagrams.size(), DatagramScratch::kBatch);
  if (count == 0) return std::size_t{0};
  DatagramScratch::Room& room = *scratch.room_;
  hop_limit_.expect(fd_, family_, datagrams.front().hop_limit);
  const Sender sender{family_, hop_limit_, connected_};
  for (std::size_t i = 0; i < count; ++i) {
    prepare_send(datagrams[i], sender, room.slots[i], room.headers[i].msg_hdr);
  }
  // A second try: the first may only have told of an ICMP error about an earlier datagram.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const int sent = fd_.kernel().sendmmsg(
        fd_.get(), room.headers.data(), static_cast<unsigned>(count), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (sys::would_block(errno)) return std::size_t{0};
  }
  const sys::SysError error = sys::last_error(sys::SysOp::kSend);
  if (datagrams.front().segment_size > 0 && is_segmentation_refusal(error.error)) {
    return send_segments(scratch, datagrams.front());
  }
  return std::unexpected(error);
}

// What the kernel will not segment goes out cut by us. One datagram at a time: this is rare. As
// with any datagram that UDP loses, segments the socket has no room for are dropped.
[[gnu::cold]] std::expected<std::size_t, sys::SysError> UdpSocket::send_segments(
    DatagramScratch& scratch, const OutgoingDatagram& datagram) {
  constexpr std::size_t kMaxParts = 64;
  std::array<iovec, kMaxParts> parts{};
  std::size_t part = 0;
  std::size_t offset = 0;  // Within payload[part].
  while (part < datagram.payload.size()) {
    std::size_t used = 0;
    std::size_t room = datagram.segment_size;
    while (room > 0 && part < datagram.payload.size() && used < kMaxParts) {
      const iovec& from = datagram.payload[part];
      const std::size_t take = std::min(room, from.iov_len - offset);
      parts[used++] = {.iov_base = static_cast<std::uint8_t*>(from.iov_base) + offset,
                       .iov_len = take};
      room -= take;
      offset += take;
      if (offset == from.iov_len) {
        ++part;
        offset = 0;
      }
    }
    OutgoingDatagram segment = datagram;
    segment.payload = std::span<const iovec>(parts.data(), used);
    segment.segment_size = 0;
    if (const auto sent = send(scratch, {&segment, 1}); !sent) return sent;
  }
  return std::size_t{1};
}

std::expected<std::size_t, sys::SysError> UdpSocket::receive(DatagramScratch& scratch,
                                                             std::span<IncomingDatagram> slots) {
  const std::size_t count = std::min(slots.size(), DatagramScratch::kBatch);
  if (count == 0) return std::size_t{0};
  DatagramScratch::Room& room = *scratch.room_;
  for (std::size_t i = 0; i < count; ++i) {
    msghdr& message = room.headers[i].msg_hdr;
    message = {};
    message.msg_name = &room.slots[i].name;
    message.msg_namelen = sizeof room.slots[i].name;
    message.msg_iov = slots[i].buffer.data();
    message.msg_iovlen = slots[i].buffer.size();
    message.msg_control = room.slots[i].control.data();
    message.msg_controllen = room.slots[i].control.size();
  }
  for (int attempt = 0; attempt < 2; ++attempt) {
    const int got = fd_.kernel().recvmmsg(fd_.get(), room.headers.data(),
                                          static_cast<unsigned>(count), MSG_DONTWAIT);
    if (got >= 0) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
        finish_receive(room.headers[i], room.slots[i].name, slots[i]);
      }
      return static_cast<std::size_t>(got);
    }
    if (sys::would_block(errno)) return std::size_t{0};
  }
  return std::unexpected(sys::last_error(sys::SysOp::kReceive));
}

}  // namespace sluice::host
