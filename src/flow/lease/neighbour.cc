#include "flow/lease/neighbour.h"

#include <array>

#include "wire/ip/icmpv6.h"
#include "wire/ip/ipv6.h"
#include "wire/ip/ndp.h"
#include "wire/link/arp.h"
#include "wire/link/ethernet.h"

namespace sluice::flow {
namespace {

using wire::IpAddress;
using wire::MacAddress;

constexpr std::size_t kEthernet = wire::kEthernetHeaderSize;
constexpr std::size_t kIpv6 = wire::Ipv6View::kHeaderSize;

// RFC 4861, 6.2.1 allows 9000 s. The lists of RFC 8106 must last three intervals at least.
constexpr std::uint16_t kRouterLifetimeSeconds = 9000;

// ff02::1
constexpr std::array<std::uint8_t, 16> kAllNodes{0xff, 0x02, 0, 0, 0, 0, 0, 0,
                                                 0,    0,    0, 0, 0, 0, 0, 1};
constexpr IpAddress kAllNodesAddress = IpAddress::v6(FixedView<16>(kAllNodes));

// Addresses that nobody but us may hold. The others of the subnet stand for hosts that only seem
// to be on it, and the guest may take one.
bool is_ours(const GuestNetwork& network, const IpAddress& address) {
  if (address.is_v4()) return address == network.gateway_v4 || address == network.dns_v4;
  return address == network.gateway_v6 || address == network.dns_v6 ||
         address == network.gateway_link_local();
}

bool we_answer_for(const GuestNetwork& network, const IpAddress& address, bool probe) {
  if (is_ours(network, address)) return true;
  if (probe || address == network.guest_v4 || address == network.guest_v6) return false;
  return network.on_subnet(address);
}

bool is_unicast(const MacAddress& mac) { return !mac.is_multicast() && mac != MacAddress{}; }

// Wraps `message` in IPv6 and Ethernet. Returns the length of the frame.
std::size_t emit_message(const GuestNetwork& network, const wire::NdpMessage& message,
                         const IpAddress& source, const IpAddress& destination,
                         const MacAddress& destination_mac, MutableBytes out) {
  if (out.size() < kEthernet + kIpv6) return 0;
  const auto length = wire::emit_ndp(message, source, destination, out.subspan(kEthernet + kIpv6));
  if (!length) return 0;
  wire::emit_ethernet(out.first<kEthernet>(), destination_mac, network.gateway_mac,
                      wire::EtherType::kIpv6);
  const wire::Ipv6Repr ip{.source = source,
                          .destination = destination,
                          .next_header = wire::IpProtocol::kIcmpv6,
                          .hop_limit = wire::kNdpHopLimit,
                          .payload_length = static_cast<std::uint16_t>(*length)};
  ip.emit(out.subspan<kEthernet, kIpv6>());
  return kEthernet + kIpv6 + *length;
}

wire::RouterAdvertisement advertisement(const GuestNetwork& network) {
  wire::RouterAdvertisement message{.hop_limit = 64,
                                    .managed = true,
                                    .other = true,
                                    .router_lifetime_seconds = kRouterLifetimeSeconds,
                                    .source_link_address = network.gateway_mac,
                                    .mtu = network.mtu};
  const wire::Prefix prefix = GuestNetwork::subnet(network.gateway_v6, network.prefix_length_v6);
  message.prefixes.push_back({.prefix = prefix.address,
                              .length = prefix.length,
                              // RFC 4862, 5.5.3: interface identifiers have 64 bits.
                              .autonomous = prefix.length == 64});
  message.dns_servers = network.told_resolvers(wire::IpFamily::kV6);
  message.dns_lifetime_seconds = kRouterLifetimeSeconds;
  if (!network.dns || !network.services.tells_search_domains) return message;
  for (const std::string& text : network.search_domains) {
    if (const auto name = wire::DomainName::from_text(text))
      message.search_domains.push_back(*name);
  }
  message.search_lifetime_seconds = kRouterLifetimeSeconds;
  return message;
}

std::size_t answer(const GuestNetwork& network, const wire::RouterSolicitation& asked,
                   const IpAddress& source, const MacAddress& sender, MutableBytes out) {
  if (!network.services.router_advertisements) return 0;
  // RFC 4861, 6.1.1: who has no address yet must not name a link-layer address.
  if (source.is_unspecified()) {
    if (asked.source_link_address) return 0;
    return emit_router_advertisement(network, out);
  }
  return emit_message(network, advertisement(network), network.gateway_link_local(), source,
                      asked.source_link_address.value_or(sender), out);
}

std::size_t answer(const GuestNetwork& network, const wire::NeighborSolicitation& asked,
                   const wire::IpPacketView& packet, const MacAddress& sender, MutableBytes out) {
  const IpAddress& target = asked.target;
  if (target.is_multicast() || target.is_unspecified()) return 0;
  const bool probe = packet.source.is_unspecified();
  // RFC 4861, 7.1.1.
  if (probe &&
      (asked.source_link_address || packet.destination != wire::solicited_node_multicast(target))) {
    return 0;
  }
  if (!we_answer_for(network, target, probe)) return 0;
  const wire::NeighborAdvertisement reply{.router = is_ours(network, target),
                                          .solicited = !probe,
                                          .override = true,
                                          .target = target,
                                          .target_link_address = network.gateway_mac};
  // RFC 4861, 7.2.4: who probes has no address to send to.
  if (probe) {
    return emit_message(network, reply, target, kAllNodesAddress,
                        wire::multicast_mac(kAllNodesAddress), out);
  }
  return emit_message(network, reply, target, packet.source,
                      asked.source_link_address.value_or(sender), out);
}

}  // namespace

NeighbourAnswer answer_arp(const GuestNetwork& network, ByteView arp, MutableBytes out) {
  const auto request = wire::ArpRepr::parse(arp);
  if (!network.ipv4 || !request || !is_unicast(request->sender_mac)) return {};
  NeighbourAnswer answer{.guest_mac = request->sender_mac};
  if (request->operation != wire::ArpOperation::kRequest) return answer;
  // An announcement (RFC 5227, 3) asks nothing.
  if (request->sender_ip == request->target_ip) return answer;
  const bool probe = request->sender_ip.is_unspecified();
  if (!we_answer_for(network, request->target_ip, probe)) return answer;
  constexpr std::size_t kSize = kEthernet + wire::ArpRepr::kSize;
  if (out.size() < kSize) return answer;

  wire::emit_ethernet(out.first<kEthernet>(), request->sender_mac, network.gateway_mac,
                      wire::EtherType::kArp);
  const wire::ArpRepr reply{.operation = wire::ArpOperation::kReply,
                            .sender_mac = network.gateway_mac,
                            .sender_ip = request->target_ip,
                            .target_mac = request->sender_mac,
                            .target_ip = request->sender_ip};
  reply.emit(out.subspan<kEthernet, wire::ArpRepr::kSize>());
  answer.length = kSize;
  return answer;
}

NeighbourAnswer answer_ndp(const GuestNetwork& network, const MacAddress& sender,
                           const wire::IpPacketView& packet, MutableBytes out) {
  // RFC 4861, 6.1.1 and 7.1.1: hop limit 255 proves that no router forwarded the packet.
  if (!network.ipv6 || !network.services.neighbour_discovery ||
      packet.hop_limit != wire::kNdpHopLimit || packet.fragment || packet.source.is_multicast() ||
      !is_unicast(sender)) {
    return {};
  }
  const auto icmp = wire::Icmpv6View::parse(packet.payload);
  if (!icmp || icmp->code() != 0 || !icmp->checksum_ok(packet.source, packet.destination))
    return {};
  const auto message = wire::parse_ndp(*icmp);
  if (!message) return {};
  NeighbourAnswer result{.guest_mac = sender};
  if (const auto* router = std::get_if<wire::RouterSolicitation>(&*message)) {
    result.length = answer(network, *router, packet.source, sender, out);
  } else if (const auto* neighbour = std::get_if<wire::NeighborSolicitation>(&*message)) {
    result.length = answer(network, *neighbour, packet, sender, out);
    if (packet.source.is_unspecified() && result.length == 0) result.probed = neighbour->target;
  }
  return result;
}

std::size_t emit_router_advertisement(const GuestNetwork& network, MutableBytes out) {
  if (!network.ipv6 || !network.services.neighbour_discovery ||
      !network.services.router_advertisements) {
    return 0;
  }
  return emit_message(network, advertisement(network), network.gateway_link_local(),
                      kAllNodesAddress, wire::multicast_mac(kAllNodesAddress), out);
}

}  // namespace sluice::flow
