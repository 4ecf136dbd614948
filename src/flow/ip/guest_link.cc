#include "flow/ip/guest_link.h"

#include <algorithm>
#include <array>

#include "wire/checksum.h"
#include "wire/ip/ipv4.h"
#include "wire/ip/ipv6.h"
#include "wire/transport/udp.h"

namespace sluice::flow {
namespace {

constexpr std::size_t kEthernet = wire::kEthernetHeaderSize;
// The length field of IPv4 counts its header, that of IPv6 does not; one bound serves both.
constexpr std::size_t kPacketMax = 65'535;
constexpr std::uint8_t kHopLimit = 64;

}  // namespace

std::uint16_t GuestLink::segment_size_max(wire::IpFamily family) const {
  const std::size_t headers = (family == wire::IpFamily::kV4 ? 20U : 40U) + 20U;
  return static_cast<std::uint16_t>(network_->mtu - headers);
}

std::size_t GuestLink::frame_payload_max(wire::IpFamily family, std::uint16_t mss) const {
  if (!features_.tso) return mss;
  const std::size_t headers = (family == wire::IpFamily::kV4 ? 20U : 40U) + 20U;
  // Whole segments only, so that the guest's kernel can count them.
  return std::max<std::size_t>((kPacketMax - headers) / mss * mss, mss);
}

void GuestLink::emit_ip(MutableBytes header, const wire::IpAddress& source,
                        const wire::IpAddress& destination, wire::IpProtocol protocol,
                        std::size_t payload_length, std::uint8_t hop_limit) const {
  const bool v4 = source.is_v4();
  wire::emit_ethernet(header.first<kEthernet>(), guest_mac_, network_->gateway_mac,
                      v4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6);
  const MutableBytes ip = header.subspan(kEthernet);
  if (v4) {
    wire::Ipv4Repr{.source = source,
                   .destination = destination,
                   .protocol = protocol,
                   .ttl = hop_limit,
                   .payload_length = static_cast<std::uint16_t>(payload_length),
                   .dont_fragment = true}
        .emit(ip.first<20>());
  } else {
    wire::Ipv6Repr{.source = source,
                   .destination = destination,
                   .next_header = protocol,
                   .hop_limit = hop_limit,
                   .payload_length = static_cast<std::uint16_t>(payload_length)}
        .emit(ip.first<40>());
  }
}

[[gnu::noinline]] void GuestLink::send_tcp(const TcpFrame& frame, ActionSink& out) const {
  static const wire::TcpOptions kNoOptions;
  const wire::TcpOptions& options = frame.options != nullptr ? *frame.options : kNoOptions;
  wire::TcpRepr tcp{.source_port = frame.source.port,
                    .destination_port = frame.destination.port,
                    .sequence = frame.sequence,
                    .acknowledgment = frame.acknowledgment,
                    .flags = frame.flags,
                    .window = frame.window,
                    .options = options};
  const bool v4 = frame.source.address.is_v4();
  const std::size_t ip_size = v4 ? 20 : 40;
  const std::size_t tcp_size = tcp.header_length();
  const std::size_t transport = kEthernet + ip_size;
  wire::VirtioNetHeader offload;
  if (features_.checksum) {
    offload.flags = wire::VirtioNetHeader::kNeedsCsum;
    offload.csum_start = static_cast<std::uint16_t>(transport);
    offload.csum_offset = wire::kTcpChecksumOffset;
    tcp.checksum = wire::tcp_partial_checksum(frame.source.address, frame.destination.address,
                                              tcp_size + frame.payload.size());
  }
  if (frame.segment_size != 0 && frame.payload.size() > frame.segment_size) {
    offload.gso_type = v4 ? wire::VirtioNetHeader::kGsoTcpV4 : wire::VirtioNetHeader::kGsoTcpV6;
    offload.gso_size = frame.segment_size;
    offload.hdr_len = static_cast<std::uint16_t>(transport + tcp_size);
  }
  const MutableBytes header = out.add_frame(transport + tcp_size, frame.payload, offload);
  emit_ip(header, frame.source.address, frame.destination.address, wire::IpProtocol::kTcp,
          tcp_size + frame.payload.size(), kHopLimit);
  const MutableBytes tcp_header = header.subspan(transport, tcp_size);
  tcp.emit(tcp_header);
  if (!features_.checksum) {
    wire::set_tcp_checksum(
        tcp_header, wire::tcp_checksum(frame.source.address, frame.destination.address, tcp_header,
                                       frame.payload));
  }
}

void GuestLink::send_udp(const wire::Endpoint& source, const wire::Endpoint& destination,
                         ByteView payload, std::uint16_t segment_size, ActionSink& out) {
  const std::size_t headers = ip_header_size(source.address) + wire::UdpView::kHeaderSize;
  const bool row = segment_size != 0 && payload.size() > segment_size;
  const std::size_t datagram = row ? segment_size : payload.size();
  if (headers + datagram > network_->mtu) {
    while (!payload.empty()) {
      const ByteView one = payload.first(std::min(payload.size(), datagram));
      send_udp_copy(source, destination, one, out);
      payload = payload.subspan(one.size());
    }
    return;
  }
  if (!row || (features_.uso && headers + payload.size() <= kPacketMax)) {
    send_udp_frame(source, destination, payload, row ? segment_size : std::uint16_t{0}, out);
    return;
  }
  while (!payload.empty()) {
    const ByteView one = payload.first(std::min(payload.size(), datagram));
    send_udp_frame(source, destination, one, 0, out);
    payload = payload.subspan(one.size());
  }
}

[[gnu::noinline]] void GuestLink::send_udp_frame(const wire::Endpoint& source,
                                                 const wire::Endpoint& destination,
                                                 ByteView payload, std::uint16_t segment_size,
                                                 ActionSink& out) const {
  constexpr std::size_t kUdp = wire::UdpView::kHeaderSize;
  const std::size_t transport = kEthernet + ip_header_size(source.address);
  wire::UdpRepr udp{.source_port = source.port,
                    .destination_port = destination.port,
                    .payload_length = static_cast<std::uint16_t>(payload.size())};
  wire::VirtioNetHeader offload;
  if (features_.checksum) {
    offload.flags = wire::VirtioNetHeader::kNeedsCsum;
    offload.csum_start = static_cast<std::uint16_t>(transport);
    offload.csum_offset = wire::kUdpChecksumOffset;
    udp.checksum = wire::checksum_fold(
        wire::pseudo_header_sum(source.address, destination.address, wire::IpProtocol::kUdp,
                                static_cast<std::uint32_t>(kUdp + payload.size())));
    if (segment_size != 0) {
      offload.gso_type = wire::VirtioNetHeader::kGsoUdpL4;
      offload.gso_size = segment_size;
      offload.hdr_len = static_cast<std::uint16_t>(transport + kUdp);
    }
  }
  const MutableBytes header = out.add_frame(transport + kUdp, payload, offload);
  emit_ip(header, source.address, destination.address, wire::IpProtocol::kUdp,
          kUdp + payload.size(), kHopLimit);
  const auto udp_header = header.subspan(transport).first<kUdp>();
  udp.emit(udp_header);
  if (!features_.checksum) {
    udp.checksum = wire::udp_checksum(source.address, destination.address, udp_header, payload);
    udp.emit(udp_header);
  }
}

[[gnu::cold]] void GuestLink::send_udp_copy(const wire::Endpoint& source,
                                            const wire::Endpoint& destination, ByteView payload,
                                            ActionSink& out) {
  std::array<std::uint8_t, wire::UdpView::kHeaderSize> bytes{};
  const FixedBytes<wire::UdpView::kHeaderSize> header(bytes);
  wire::UdpRepr udp{.source_port = source.port,
                    .destination_port = destination.port,
                    .payload_length = static_cast<std::uint16_t>(payload.size())};
  udp.emit(header);
  udp.checksum = wire::udp_checksum(source.address, destination.address, header, payload);
  udp.emit(header);
  send_fragmented({.source = source.address,
                   .destination = destination.address,
                   .protocol = wire::IpProtocol::kUdp,
                   .hop_limit = kHopLimit,
                   .header = bytes,
                   .payload = payload},
                  out);
}

void GuestLink::send_icmp(const wire::IpAddress& source, const wire::IpAddress& destination,
                          ByteView message, std::uint8_t hop_limit, ActionSink& out) {
  send_fragmented({.source = source,
                   .destination = destination,
                   .protocol = source.is_v4() ? wire::IpProtocol::kIcmp : wire::IpProtocol::kIcmpv6,
                   .hop_limit = hop_limit,
                   .header = {},
                   .payload = message},
                  out);
}

[[gnu::cold]] bool GuestLink::send_error(IcmpErrorKind kind, const wire::IpPacketView& packet,
                                         Turn turn) {
  if (!error_limiter_.allow(turn.now)) return false;
  const MutableBytes frame = turn.out.add_frame(kIcmpErrorFrameMax, {}, {});
  turn.out.shrink_frame(emit_icmp_error({.kind = kind}, *network_, guest_mac_, packet, frame));
  return true;
}

[[gnu::cold]] bool GuestLink::send_error(const IcmpError& error, const LostPacket& lost,
                                         Turn turn) {
  if (!error_limiter_.allow(turn.now)) return false;
  const MutableBytes frame = turn.out.add_frame(kIcmpErrorFrameMax, {}, {});
  turn.out.shrink_frame(emit_icmp_error(error, *network_, guest_mac_, lost, frame));
  return true;
}

// A datagram that fits goes out whole. The frames are copies: nothing here is borrowed.
void GuestLink::send_fragmented(OutgoingDatagram datagram, ActionSink& out) {
  datagram.guest_mac = guest_mac_;
  datagram.gateway_mac = network_->gateway_mac;
  datagram.identification = next_identification_++;
  Fragmenter fragments(datagram, network_->mtu);
  const std::size_t room = fragments.frame_size_max();
  for (;;) {
    const MutableBytes frame = out.add_frame(room, {}, {});
    const std::size_t length = fragments.next(frame);
    out.shrink_frame(length);
    if (length == 0) return;
  }
}

}  // namespace sluice::flow
