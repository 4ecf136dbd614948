// Frames as a guest sends them, and what the engine sends it, for the tests of the engine.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "flow/core/action.h"
#include "flow/core/guest_network.h"
#include "wire/checksum.h"
#include "wire/ip/icmp.h"
#include "wire/ip/icmpv6.h"
#include "wire/ip/ip.h"
#include "wire/link/arp.h"
#include "wire/transport/tcp.h"
#include "wire/transport/udp.h"

namespace sluice::flow::test {

using Bytes = std::vector<std::uint8_t>;

inline wire::IpAddress ip(std::string_view text) { return wire::parse_ip(text).value(); }
inline wire::Endpoint endpoint(std::string_view text) { return wire::parse_endpoint(text).value(); }

// Byte i of every test stream, so that a test knows what belongs at an offset.
[[nodiscard]] constexpr std::uint8_t stream_byte(std::uint64_t offset) {
  return static_cast<std::uint8_t>(offset * 31 + (offset >> 8) * 7);
}
inline Bytes stream(std::uint64_t offset, std::size_t length) {
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i) bytes[i] = stream_byte(offset + i);
  return bytes;
}

// Ethernet and IP around `upper`, from the guest to the gateway.
inline Bytes ip_frame(const GuestNetwork& network, const wire::IpAddress& source,
                      const wire::IpAddress& destination, wire::IpProtocol protocol,
                      const Bytes& upper, std::uint8_t hop_limit = 64) {
  const bool v4 = source.is_v4();
  const std::size_t ip_size = v4 ? 20 : 40;
  Bytes frame(14 + ip_size + upper.size());
  const MutableBytes all(frame);
  wire::emit_ethernet(all.first<14>(), network.gateway_mac, network.guest_mac,
                      v4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6);
  const auto length = static_cast<std::uint16_t>(upper.size());
  if (v4) {
    wire::Ipv4Repr{.source = source,
                   .destination = destination,
                   .protocol = protocol,
                   .ttl = hop_limit,
                   .payload_length = length}
        .emit(all.subspan(14).first<20>());
  } else {
    wire::Ipv6Repr{.source = source,
                   .destination = destination,
                   .next_header = protocol,
                   .hop_limit = hop_limit,
                   .payload_length = length}
        .emit(all.subspan(14).first<40>());
  }
  std::ranges::copy(upper, frame.begin() + static_cast<std::ptrdiff_t>(14 + ip_size));
  return frame;
}

struct GuestSegment {
  wire::Endpoint guest;
  wire::Endpoint remote;
  wire::SeqNum sequence{};
  wire::SeqNum acknowledgment{};
  wire::TcpFlags flags = wire::kAck;
  std::uint16_t window = 0xffff;
  wire::TcpOptions options{};
  Bytes payload{};
};

inline Bytes tcp_frame(const GuestNetwork& network, const GuestSegment& segment) {
  const wire::TcpRepr tcp{.source_port = segment.guest.port,
                          .destination_port = segment.remote.port,
                          .sequence = segment.sequence,
                          .acknowledgment = segment.acknowledgment,
                          .flags = segment.flags,
                          .window = segment.window,
                          .options = segment.options};
  Bytes upper(tcp.header_length());
  tcp.emit(upper);
  wire::set_tcp_checksum(upper, wire::tcp_checksum(segment.guest.address, segment.remote.address,
                                                   upper, segment.payload));
  upper.insert(upper.end(), segment.payload.begin(), segment.payload.end());
  return ip_frame(network, segment.guest.address, segment.remote.address, wire::IpProtocol::kTcp,
                  upper);
}

// A UDP header with its checksum, and the payload.
inline Bytes udp_datagram(const wire::Endpoint& source, const wire::Endpoint& destination,
                          const Bytes& payload) {
  Bytes datagram(wire::UdpView::kHeaderSize);
  const auto header = MutableBytes(datagram).first<wire::UdpView::kHeaderSize>();
  wire::UdpRepr udp{.source_port = source.port,
                    .destination_port = destination.port,
                    .payload_length = static_cast<std::uint16_t>(payload.size())};
  udp.emit(header);
  udp.checksum = wire::udp_checksum(source.address, destination.address, header, payload);
  udp.emit(header);
  datagram.insert(datagram.end(), payload.begin(), payload.end());
  return datagram;
}

inline Bytes udp_frame(const GuestNetwork& network, const wire::Endpoint& guest,
                       const wire::Endpoint& remote, const Bytes& payload) {
  return ip_frame(network, guest.address, remote.address, wire::IpProtocol::kUdp,
                  udp_datagram(guest, remote, payload));
}

// An ICMP echo message, header first.
inline Bytes echo_message(wire::IcmpType type, std::uint16_t identifier, std::uint16_t sequence,
                          const Bytes& payload) {
  Bytes message(wire::IcmpView::kHeaderSize);
  wire::IcmpRepr::echo(type, identifier, sequence)
      .emit(MutableBytes(message).first<wire::IcmpView::kHeaderSize>(), payload);
  message.insert(message.end(), payload.begin(), payload.end());
  return message;
}

inline Bytes ping_frame(const GuestNetwork& network, const wire::IpAddress& target,
                        std::uint16_t identifier, std::uint16_t sequence, const Bytes& payload) {
  return ip_frame(network, network.guest_v4, target, wire::IpProtocol::kIcmp,
                  echo_message(wire::IcmpType::kEchoRequest, identifier, sequence, payload));
}

inline Bytes arp_request(const GuestNetwork& network, const wire::IpAddress& target) {
  Bytes frame(14 + wire::ArpRepr::kSize);
  const MutableBytes all(frame);
  wire::emit_ethernet(all.first<14>(), wire::kBroadcastMac, network.guest_mac,
                      wire::EtherType::kArp);
  wire::ArpRepr{wire::ArpOperation::kRequest, network.guest_mac, network.guest_v4, {}, target}.emit(
      all.subspan(14).first<wire::ArpRepr::kSize>());
  return frame;
}

// A frame that the engine sent to the guest. The accessors throw when it is something else.
struct Received {
  Bytes bytes;
  wire::VirtioNetHeader offload{};

  [[nodiscard]] wire::EthernetView ethernet() const {
    return wire::EthernetView::parse(bytes).value();
  }
  [[nodiscard]] bool is_ip() const { return ethernet().ether_type() != wire::EtherType::kArp; }
  [[nodiscard]] wire::IpPacketView packet() const {
    return wire::parse_ip_packet(ethernet().ether_type(), ethernet().payload()).value();
  }
  [[nodiscard]] bool is(wire::IpProtocol protocol) const {
    return is_ip() && packet().protocol == protocol;
  }
  [[nodiscard]] wire::TcpView tcp() const { return wire::TcpView::parse(packet().payload).value(); }
  [[nodiscard]] wire::UdpView udp() const { return wire::UdpView::parse(packet().payload).value(); }
  [[nodiscard]] wire::IcmpView icmp() const {
    return wire::IcmpView::parse(packet().payload).value();
  }
  [[nodiscard]] wire::ArpRepr arp() const {
    return wire::ArpRepr::parse(ethernet().payload()).value();
  }
};

}  // namespace sluice::flow::test
