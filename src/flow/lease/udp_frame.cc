#include "flow/lease/udp_frame.h"

#include "wire/ip/ipv4.h"
#include "wire/ip/ipv6.h"
#include "wire/link/ethernet.h"
#include "wire/transport/udp.h"

namespace sluice::flow {
namespace {

constexpr std::size_t kHeaderV4 = wire::Ipv4View::kHeaderSize;
constexpr std::size_t kHeaderV6 = wire::Ipv6View::kHeaderSize;
constexpr std::size_t kUdpHeader = wire::UdpView::kHeaderSize;

}  // namespace

std::size_t udp_frame_header_size(wire::IpFamily family) {
  const std::size_t ip = family == wire::IpFamily::kV4 ? kHeaderV4 : kHeaderV6;
  return wire::kEthernetHeaderSize + ip + kUdpHeader;
}

void wrap_udp_frame(const UdpFrame& frame, MutableBytes out) {
  const bool ipv4 = frame.source.address.is_v4();
  wire::emit_ethernet(out.first<wire::kEthernetHeaderSize>(), frame.destination_mac,
                      frame.source_mac, ipv4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6);
  const MutableBytes packet = out.subspan(wire::kEthernetHeaderSize);
  const MutableBytes datagram = packet.subspan(ipv4 ? kHeaderV4 : kHeaderV6);
  const auto length = static_cast<std::uint16_t>(datagram.size());
  if (ipv4) {
    const wire::Ipv4Repr ip{.source = frame.source.address,
                            .destination = frame.destination.address,
                            .protocol = wire::IpProtocol::kUdp,
                            .ttl = frame.hop_limit,
                            .payload_length = length};
    ip.emit(packet.first<kHeaderV4>());
  } else {
    const wire::Ipv6Repr ip{.source = frame.source.address,
                            .destination = frame.destination.address,
                            .next_header = wire::IpProtocol::kUdp,
                            .hop_limit = frame.hop_limit,
                            .payload_length = length};
    ip.emit(packet.first<kHeaderV6>());
  }
  const FixedBytes<kUdpHeader> header = datagram.first<kUdpHeader>();
  const wire::UdpRepr udp{frame.source.port, frame.destination.port,
                          static_cast<std::uint16_t>(datagram.size() - kUdpHeader)};
  udp.emit(header);
  put16<wire::kUdpChecksumOffset>(
      header, wire::udp_checksum(frame.source.address, frame.destination.address, header,
                                 datagram.subspan(kUdpHeader)));
}

}  // namespace sluice::flow
