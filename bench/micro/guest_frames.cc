#include "micro/guest_frames.h"

#include <algorithm>

#include "flow/ip/fragmenter.h"
#include "wire/ip/icmpv6.h"
#include "wire/ip/ndp.h"

namespace sluice::bench {
namespace {

// Not a global: benchmarks are added, and their frames built, before main() begins.
const flow::GuestNetwork& network() {
  static const flow::GuestNetwork defaults;
  return defaults;
}

wire::IpAddress guest_like(const wire::IpAddress& other) {
  return other.is_v4() ? network().guest_v4 : network().guest_v6;
}

Bytes echo(bool request, const wire::IpAddress& source, const wire::IpAddress& destination,
           std::uint16_t identifier, std::size_t payload_size) {
  const Bytes payload = flow::test::stream(0, payload_size);
  if (source.is_v4()) {
    const auto type = request ? wire::IcmpType::kEchoRequest : wire::IcmpType::kEchoReply;
    return flow::test::echo_message(type, identifier, 1, payload);
  }
  const auto type = request ? wire::Icmpv6Type::kEchoRequest : wire::Icmpv6Type::kEchoReply;
  Bytes message(wire::Icmpv6View::kHeaderSize);
  wire::Icmpv6Repr::echo(type, identifier, 1)
      .emit(MutableBytes(message).first<wire::Icmpv6View::kHeaderSize>(), payload, source,
            destination);
  message.insert(message.end(), payload.begin(), payload.end());
  return message;
}

// A UDP header with its checksum, and the payload.
Bytes datagram_of(const wire::Endpoint& guest, const wire::Endpoint& remote, const Bytes& payload) {
  Bytes datagram(wire::UdpView::kHeaderSize + payload.size());
  std::ranges::copy(payload, datagram.begin() + wire::UdpView::kHeaderSize);
  const auto header = MutableBytes(datagram).first<wire::UdpView::kHeaderSize>();
  wire::UdpRepr udp{.source_port = guest.port,
                    .destination_port = remote.port,
                    .payload_length = static_cast<std::uint16_t>(payload.size())};
  udp.emit(header);
  udp.checksum = wire::udp_checksum(guest.address, remote.address, header, payload);
  udp.emit(header);
  return datagram;
}

Bytes ndp_frame(const wire::NdpMessage& message, const wire::IpAddress& destination) {
  const wire::IpAddress source = flow::test::ip("fe80::5054:ff:fe12:3456");
  Bytes bytes(256);
  bytes.resize(wire::emit_ndp(message, source, destination, bytes).value());
  return flow::test::ip_frame(network(), source, destination, wire::IpProtocol::kIcmpv6, bytes,
                              wire::kNdpHopLimit);
}

}  // namespace

Bytes datagram_frame(const wire::Endpoint& guest, const wire::Endpoint& remote,
                     const Bytes& payload) {
  return flow::test::ip_frame(network(), guest.address, remote.address, wire::IpProtocol::kUdp,
                              datagram_of(guest, remote, payload));
}

Bytes echo_frame(const wire::IpAddress& target, std::uint16_t identifier,
                 std::size_t payload_size) {
  const wire::IpAddress guest = guest_like(target);
  const auto protocol = target.is_v4() ? wire::IpProtocol::kIcmp : wire::IpProtocol::kIcmpv6;
  return flow::test::ip_frame(network(), guest, target, protocol,
                              echo(true, guest, target, identifier, payload_size));
}

Bytes echo_reply(const wire::IpAddress& source, std::uint16_t identifier,
                 std::size_t payload_size) {
  return echo(false, source, guest_like(source), identifier, payload_size);
}

Bytes neighbour_solicitation() {
  return ndp_frame(wire::NeighborSolicitation{.target = network().gateway_v6,
                                              .source_link_address = network().guest_mac},
                   wire::solicited_node_multicast(network().gateway_v6));
}

Bytes router_solicitation() {
  return ndp_frame(wire::RouterSolicitation{}, flow::test::ip("ff02::2"));
}

std::vector<Bytes> fragments(const wire::Endpoint& guest, const wire::Endpoint& remote,
                             const Bytes& payload, std::uint32_t identification) {
  const Bytes datagram = datagram_of(guest, remote, payload);
  // The fragmenter works towards the guest; the other way round the two ends change places.
  flow::Fragmenter cutter({.guest_mac = network().gateway_mac,
                           .gateway_mac = network().guest_mac,
                           .source = guest.address,
                           .destination = remote.address,
                           .protocol = wire::IpProtocol::kUdp,
                           .identification = identification,
                           .payload = datagram},
                          network().mtu);
  std::vector<Bytes> frames;
  Bytes frame(cutter.frame_size_max());
  while (const std::size_t length = cutter.next(frame)) {
    frames.emplace_back(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(length));
  }
  return frames;
}

}  // namespace sluice::bench
