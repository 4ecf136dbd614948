#include "wire/ip/flow_tuple.h"

#include <array>
#include <cstring>

#include "wire/ip/icmp.h"
#include "wire/ip/icmpv6.h"
#include "wire/ip/quoted_packet.h"
#include "wire/link/ethernet.h"

namespace sluice::wire {
namespace {

// Where TCP and UDP have their ports.
constexpr std::size_t kPortsSize = 4;

struct Addresses {
  IpAddress source;
  IpAddress destination;
};

[[nodiscard]] std::optional<FlowTuple> flow_of_quote(
    const std::expected<QuotedPacket, ParseError>& quoted) {
  if (!quoted) return std::nullopt;
  if (quoted->protocol != IpProtocol::kTcp && quoted->protocol != IpProtocol::kUdp) {
    return std::nullopt;
  }
  // Who sends the error is the one that the packet was for, or speaks for it.
  return FlowTuple{quoted->protocol,
                   {quoted->destination, quoted->destination_port()},
                   {quoted->source, quoted->source_port()}};
}

// `transport` is what follows the IP headers, or the beginning of it.
[[nodiscard]] std::optional<FlowTuple> flow_of(IpFamily family, IpProtocol protocol,
                                               const Addresses& addresses, ByteView transport) {
  if (protocol == IpProtocol::kTcp || protocol == IpProtocol::kUdp) [[likely]] {
    if (transport.size() < kPortsSize) return std::nullopt;
    const FixedView<kPortsSize> ports = transport.first<kPortsSize>();
    return FlowTuple{protocol,
                     {addresses.source, Port{be16<0>(ports)}},
                     {addresses.destination, Port{be16<2>(ports)}}};
  }
  if (family == IpFamily::kV4 && protocol == IpProtocol::kIcmp) {
    const auto icmp = IcmpView::parse(transport);
    if (!icmp || !icmp->is_error()) return std::nullopt;
    return flow_of_quote(parse_quoted_ipv4(icmp->payload()));
  }
  if (family == IpFamily::kV6 && protocol == IpProtocol::kIcmpv6) {
    const auto icmp = Icmpv6View::parse(transport);
    if (!icmp || !icmp->is_error()) return std::nullopt;
    return flow_of_quote(parse_quoted_ipv6(icmp->payload()));
  }
  return std::nullopt;
}

[[nodiscard]] std::optional<FlowTuple> flow_of_ipv4(ByteView bytes) {
  if (bytes.size() < Ipv4View::kHeaderSize) return std::nullopt;
  const FixedView<Ipv4View::kHeaderSize> header = bytes.first<Ipv4View::kHeaderSize>();
  const std::size_t header_length = (header[0] & 0xfU) * std::size_t{4};
  if (header_length < Ipv4View::kHeaderSize || bytes.size() < header_length) return std::nullopt;
  // More fragments, or an offset.
  if ((be16<6>(header) & 0x3fffU) != 0) return std::nullopt;
  return flow_of(IpFamily::kV4, IpProtocol{header[9]},
                 {IpAddress::v4(header.subspan<12, 4>()), IpAddress::v4(header.subspan<16, 4>())},
                 bytes.subspan(header_length));
}

[[nodiscard]] std::optional<FlowTuple> flow_of_ipv6(ByteView bytes) {
  if (bytes.size() < Ipv6View::kHeaderSize) return std::nullopt;
  const FixedView<Ipv6View::kHeaderSize> header = bytes.first<Ipv6View::kHeaderSize>();
  Ipv6UpperLayer upper{IpProtocol{header[6]}, bytes.subspan(Ipv6View::kHeaderSize), std::nullopt};
  if (is_extension_header(upper.protocol)) [[unlikely]] {
    const auto walked = walk_extension_headers(upper.protocol, upper.payload);
    if (!walked || (walked->fragment && !walked->fragment->is_atomic())) return std::nullopt;
    upper = *walked;
  }
  return flow_of(IpFamily::kV6, upper.protocol,
                 {IpAddress::v6(header.subspan<8, 16>()), IpAddress::v6(header.subspan<24, 16>())},
                 upper.payload);
}

}  // namespace

std::uint64_t FlowTuple::hash(const HashSecret& secret) const {
  std::array<std::uint8_t, 37> bytes;
  std::memcpy(bytes.data(), source.address.octets().data(), 16);
  std::memcpy(bytes.data() + 16, destination.address.octets().data(), 16);
  std::memcpy(bytes.data() + 32, &source.port.value, 2);
  std::memcpy(bytes.data() + 34, &destination.port.value, 2);
  bytes[36] = static_cast<std::uint8_t>(protocol);
  return KeyedHash(secret)(ByteView(bytes));
}

std::optional<FlowTuple> flow_of_frame(ByteView frame) {
  const auto ethernet = EthernetView::parse(frame);
  if (!ethernet) return std::nullopt;
  if (ethernet->ether_type() == EtherType::kIpv4) return flow_of_ipv4(ethernet->payload());
  if (ethernet->ether_type() == EtherType::kIpv6) return flow_of_ipv6(ethernet->payload());
  return std::nullopt;
}

std::optional<FlowTuple> flow_of_packet(const IpPacketView& packet) {
  if (packet.fragment) return std::nullopt;
  return flow_of(packet.family, packet.protocol, {packet.source, packet.destination},
                 packet.payload);
}

}  // namespace sluice::wire
