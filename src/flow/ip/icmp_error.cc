#include "flow/ip/icmp_error.h"

#include <algorithm>
#include <array>

#include "wire/ip/icmp.h"
#include "wire/ip/icmpv6.h"
#include "wire/ip/ipv4.h"
#include "wire/ip/ipv6.h"
#include "wire/link/ethernet.h"
#include "wire/transport/udp.h"

namespace sluice::flow {
namespace {

using wire::IcmpRepr;
using wire::IcmpType;
using wire::IcmpUnreachable;
using wire::Icmpv6Repr;
using wire::Icmpv6Type;
using wire::Icmpv6Unreachable;
using wire::IpAddress;
using wire::IpProtocol;

constexpr std::size_t kHeaderV4 = wire::Ipv4View::kHeaderSize;
constexpr std::size_t kHeaderV6 = wire::Ipv6View::kHeaderSize;
constexpr std::size_t kIcmpHeader = wire::IcmpView::kHeaderSize;

// RFC 1812, 4.3.2.5: precedence "internetwork control".
constexpr std::uint8_t kErrorTos = 0xc0;

IcmpRepr message_v4(const IcmpError& error) {
  switch (error.kind) {
    case IcmpErrorKind::kNetUnreachable: return IcmpRepr::unreachable(IcmpUnreachable::kNetwork);
    case IcmpErrorKind::kHostUnreachable: return IcmpRepr::unreachable(IcmpUnreachable::kHost);
    case IcmpErrorKind::kProtocolUnreachable:
      return IcmpRepr::unreachable(IcmpUnreachable::kProtocol);
    case IcmpErrorKind::kPortUnreachable: return IcmpRepr::unreachable(IcmpUnreachable::kPort);
    case IcmpErrorKind::kProhibited: return IcmpRepr::unreachable(IcmpUnreachable::kProhibited);
    case IcmpErrorKind::kTooBig:
      return IcmpRepr::unreachable(IcmpUnreachable::kFragmentationNeeded,
                                   static_cast<std::uint16_t>(std::min(error.mtu, 65'535U)));
    case IcmpErrorKind::kTimeExceeded: return IcmpRepr::ttl_exceeded();
  }
  return IcmpRepr::unreachable(IcmpUnreachable::kHost);
}

Icmpv6Repr message_v6(const IcmpError& error) {
  // RFC 4443, 3.4: code 1, "unrecognized next header", points at the field of that name.
  constexpr std::uint8_t kUnrecognizedNextHeader = 1;
  constexpr std::uint32_t kNextHeaderOffset = 6;
  switch (error.kind) {
    case IcmpErrorKind::kNetUnreachable:
      return Icmpv6Repr::unreachable(Icmpv6Unreachable::kNoRoute);
    case IcmpErrorKind::kHostUnreachable:
      return Icmpv6Repr::unreachable(Icmpv6Unreachable::kAddress);
    case IcmpErrorKind::kProtocolUnreachable:
      return {Icmpv6Type::kParameterProblem, kUnrecognizedNextHeader, kNextHeaderOffset};
    case IcmpErrorKind::kPortUnreachable: return Icmpv6Repr::unreachable(Icmpv6Unreachable::kPort);
    case IcmpErrorKind::kProhibited: return Icmpv6Repr::unreachable(Icmpv6Unreachable::kProhibited);
    case IcmpErrorKind::kTooBig: return Icmpv6Repr::packet_too_big(error.mtu);
    case IcmpErrorKind::kTimeExceeded: return Icmpv6Repr::hop_limit_exceeded();
  }
  return Icmpv6Repr::unreachable(Icmpv6Unreachable::kAddress);
}

bool names_one_host(const IpAddress& address) {
  return !address.is_unspecified() && !address.is_multicast() && !address.is_v4_broadcast();
}

// The last address of the guest's IPv4 subnet.
bool is_subnet_broadcast(const GuestNetwork& network, const IpAddress& address) {
  if (!address.is_v4() || network.prefix_length_v4 >= 31) return false;
  const std::uint32_t host_bits = 0xffff'ffffU >> network.prefix_length_v4;
  return network.on_subnet(address) && (address.v4_value() & host_bits) == host_bits;
}

bool is_icmp_error(IpProtocol protocol, ByteView payload) {
  if (protocol == IpProtocol::kIcmp) {
    const auto icmp = wire::IcmpView::parse(payload);
    // A message too short to tell may have been one.
    return !icmp || icmp->is_error() || icmp->type() == IcmpType::kRedirect;
  }
  if (protocol == IpProtocol::kIcmpv6) {
    constexpr std::uint8_t kRedirectV6 = 137;
    const auto icmp = wire::Icmpv6View::parse(payload);
    return !icmp || icmp->is_error() || static_cast<std::uint8_t>(icmp->type()) == kRedirectV6;
  }
  return false;
}

bool may_be_answered(const GuestNetwork& network, const wire::IpPacketView& packet) {
  if (packet.fragment && packet.fragment->offset != 0) return false;
  if (!names_one_host(packet.source) || !names_one_host(packet.destination)) return false;
  if (is_subnet_broadcast(network, packet.source)) return false;
  if (is_subnet_broadcast(network, packet.destination)) return false;
  return !is_icmp_error(packet.protocol, packet.payload);
}

std::size_t emit_around(const IcmpError& error, const GuestNetwork& network,
                        const wire::MacAddress& guest_mac, const IpAddress& guest, ByteView quote,
                        MutableBytes out) {
  const bool ipv4 = guest.is_v4();
  quote = quote.first(std::min(quote.size(), ipv4 ? wire::kIcmpQuoteMax : wire::kIcmpv6QuoteMax));
  const std::size_t ip_header = ipv4 ? kHeaderV4 : kHeaderV6;
  const std::size_t size = wire::kEthernetHeaderSize + ip_header + kIcmpHeader + quote.size();
  if (out.size() < size) return 0;

  const IpAddress gateway = ipv4 ? network.gateway_v4 : network.gateway_v6;
  const bool usable = names_one_host(error.from) && error.from.is_v4() == ipv4;
  const IpAddress from = usable ? error.from : gateway;
  const auto length = static_cast<std::uint16_t>(kIcmpHeader + quote.size());
  wire::emit_ethernet(out.first<wire::kEthernetHeaderSize>(), guest_mac, network.gateway_mac,
                      ipv4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6);
  const MutableBytes packet = out.subspan(wire::kEthernetHeaderSize);
  const MutableBytes message = packet.subspan(ip_header);
  std::ranges::copy(quote, message.subspan(kIcmpHeader).begin());
  if (ipv4) {
    const wire::Ipv4Repr ip{.source = from,
                            .destination = guest,
                            .protocol = IpProtocol::kIcmp,
                            .payload_length = length,
                            .tos = kErrorTos};
    ip.emit(packet.first<kHeaderV4>());
    message_v4(error).emit(message.first<kIcmpHeader>(), quote);
  } else {
    const wire::Ipv6Repr ip{.source = from,
                            .destination = guest,
                            .next_header = IpProtocol::kIcmpv6,
                            .payload_length = length};
    ip.emit(packet.first<kHeaderV6>());
    message_v6(error).emit(message.first<kIcmpHeader>(), quote, from, guest);
  }
  return size;
}

// Writes the eight bytes of UDP or echo header that stood before `known`, or the first ones of a
// SYN.
void emit_lost_transport(const LostPacket& lost, ByteView known, std::size_t payload_size,
                         FixedBytes<8> header) {
  if (lost.protocol == IpProtocol::kUdp) {
    const wire::UdpRepr udp{lost.guest.port, lost.remote.port,
                            static_cast<std::uint16_t>(payload_size)};
    udp.emit(header);
    // Without the whole payload the checksum cannot be known; receivers of errors ignore it.
    if (known.size() != payload_size) return;
    put16<wire::kUdpChecksumOffset>(
        header, wire::udp_checksum(lost.guest.address, lost.remote.address, header, known));
    return;
  }
  if (lost.protocol == IpProtocol::kTcp) {
    put16<0>(header, lost.guest.port.value);
    put16<2>(header, lost.remote.port.value);
    put32<4>(header, lost.sequence.value);
    return;
  }
  const std::uint16_t identifier = lost.guest.port.value;
  const std::uint16_t sequence = lost.remote.port.value;
  if (lost.guest.address.is_v4()) {
    IcmpRepr::echo(IcmpType::kEchoRequest, identifier, sequence).emit(header, known);
  } else {
    Icmpv6Repr::echo(Icmpv6Type::kEchoRequest, identifier, sequence)
        .emit(header, known, lost.guest.address, lost.remote.address);
  }
}

std::optional<IcmpErrorKind> kind_v4(std::uint8_t type, std::uint8_t code) {
  if (IcmpType{type} == IcmpType::kTimeExceeded) return IcmpErrorKind::kTimeExceeded;
  if (IcmpType{type} != IcmpType::kDestinationUnreachable) return std::nullopt;
  constexpr std::uint8_t kSourceRouteFailed = 5;
  if (code > 15) return std::nullopt;
  if (code == kSourceRouteFailed) return std::nullopt;
  // RFC 1122, 3.2.2.1 and RFC 1812, 5.2.7.1: 0, 6, 8 and 11 tell of networks; 9, 10, 13, 14 and 15
  // of a filter.
  switch (code) {
    case 0:
    case 6:
    case 8:
    case 11: return IcmpErrorKind::kNetUnreachable;
    case 2: return IcmpErrorKind::kProtocolUnreachable;
    case 3: return IcmpErrorKind::kPortUnreachable;
    case 4: return IcmpErrorKind::kTooBig;
    case 9:
    case 10:
    case 13:
    case 14:
    case 15: return IcmpErrorKind::kProhibited;
    default: return IcmpErrorKind::kHostUnreachable;
  }
}

std::optional<IcmpErrorKind> kind_v6(std::uint8_t type, std::uint8_t code) {
  if (Icmpv6Type{type} == Icmpv6Type::kPacketTooBig) return IcmpErrorKind::kTooBig;
  if (Icmpv6Type{type} == Icmpv6Type::kTimeExceeded) return IcmpErrorKind::kTimeExceeded;
  if (Icmpv6Type{type} == Icmpv6Type::kParameterProblem && code == 1) {
    return IcmpErrorKind::kProtocolUnreachable;
  }
  if (Icmpv6Type{type} != Icmpv6Type::kDestinationUnreachable) return std::nullopt;
  // RFC 4443, 3.1.
  switch (code) {
    case 0:
    case 2: return IcmpErrorKind::kNetUnreachable;
    case 1:
    case 5:
    case 6: return IcmpErrorKind::kProhibited;
    case 3: return IcmpErrorKind::kHostUnreachable;
    case 4: return IcmpErrorKind::kPortUnreachable;
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<IcmpErrorKind> icmp_error_kind(wire::IpFamily family, std::uint8_t type,
                                             std::uint8_t code) {
  return family == wire::IpFamily::kV4 ? kind_v4(type, code) : kind_v6(type, code);
}

std::size_t emit_icmp_error(const IcmpError& error, const GuestNetwork& network,
                            const wire::MacAddress& guest_mac, const wire::IpPacketView& offending,
                            MutableBytes out) {
  if (!may_be_answered(network, offending)) return 0;
  return emit_around(error, network, guest_mac, offending.source, offending.packet, out);
}

std::size_t emit_icmp_error(const IcmpError& error, const GuestNetwork& network,
                            const wire::MacAddress& guest_mac, const LostPacket& lost,
                            MutableBytes out) {
  constexpr std::size_t kTransport = 8;
  const IpAddress& guest = lost.guest.address;
  const IpAddress& remote = lost.remote.address;
  if (guest.is_v4() != remote.is_v4() || !names_one_host(guest) || !names_one_host(remote))
    return 0;
  const IpProtocol echo = guest.is_v4() ? IpProtocol::kIcmp : IpProtocol::kIcmpv6;
  if (lost.protocol != IpProtocol::kTcp && lost.protocol != IpProtocol::kUdp &&
      lost.protocol != echo) {
    return 0;
  }

  const bool ipv4 = guest.is_v4();
  const std::size_t ip_header = ipv4 ? kHeaderV4 : kHeaderV6;
  std::array<std::uint8_t, wire::kIcmpv6QuoteMax> quote{};
  const ByteView known =
      lost.payload.first(std::min(lost.payload.size(), quote.size() - ip_header - kTransport));
  const std::size_t payload_size = std::min<std::size_t>(
      std::max(lost.payload_size, lost.payload.size()), 65'535 - kHeaderV4 - kTransport);
  const auto length = static_cast<std::uint16_t>(kTransport + payload_size);
  const MutableBytes packet(quote);
  if (ipv4) {
    const wire::Ipv4Repr ip{.source = guest,
                            .destination = remote,
                            .protocol = lost.protocol,
                            .ttl = lost.hop_limit,
                            .payload_length = length};
    ip.emit(packet.first<kHeaderV4>());
  } else {
    const wire::Ipv6Repr ip{.source = guest,
                            .destination = remote,
                            .next_header = lost.protocol,
                            .hop_limit = lost.hop_limit,
                            .payload_length = length};
    ip.emit(packet.first<kHeaderV6>());
  }
  emit_lost_transport(lost, known, payload_size, packet.subspan(ip_header).first<kTransport>());
  std::ranges::copy(known, packet.subspan(ip_header + kTransport).begin());
  return emit_around(error, network, guest_mac, guest,
                     packet.first(ip_header + kTransport + known.size()), out);
}

bool IcmpErrorLimiter::allow(Instant now) {
  if (now > refilled_ && tokens_ < burst_) {
    const auto earned = (now - refilled_) / interval_;
    if (earned >= static_cast<std::int64_t>(burst_ - tokens_)) {
      tokens_ = burst_;
      refilled_ = now;
    } else {
      // What is left over counts towards the next token.
      tokens_ += static_cast<std::uint32_t>(earned);
      refilled_ += earned * interval_;
    }
  }
  if (tokens_ == 0) return false;
  if (tokens_ == burst_) refilled_ = now;
  --tokens_;
  return true;
}

}  // namespace sluice::flow
