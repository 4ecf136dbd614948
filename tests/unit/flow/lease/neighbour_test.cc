#include "flow/lease/neighbour.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <vector>

#include "wire/ip/icmpv6.h"
#include "wire/ip/ipv6.h"
#include "wire/ip/ndp.h"
#include "wire/link/arp.h"

namespace sluice::flow {
namespace {

using wire::IpAddress;
using wire::MacAddress;

const GuestNetwork kNetwork;
constexpr MacAddress kGuestMac{{0x52, 0x54, 0, 0x12, 0x34, 0x56}};
const IpAddress kGuestLinkLocal = wire::parse_ip("fe80::5054:ff:fe12:3456").value();
const IpAddress kAllRouters = wire::parse_ip("ff02::2").value();

struct ArpAnswer {
  NeighbourAnswer answer;
  std::optional<wire::ArpRepr> reply;
  MacAddress frame_destination;
};

ArpAnswer ask_arp(const wire::ArpRepr& request, const GuestNetwork& network = kNetwork) {
  std::array<std::uint8_t, 28> bytes{};
  request.emit(bytes);
  std::array<std::uint8_t, 64> out{};
  ArpAnswer result{answer_arp(network, bytes, out), std::nullopt, {}};
  if (result.answer.length > 0) {
    const auto frame = wire::EthernetView::parse(ByteView(out).first(result.answer.length)).value();
    EXPECT_EQ(frame.ether_type(), wire::EtherType::kArp);
    EXPECT_EQ(frame.source(), network.gateway_mac);
    result.frame_destination = frame.destination();
    result.reply = wire::ArpRepr::parse(frame.payload()).value();
  }
  return result;
}

wire::ArpRepr who_has(const IpAddress& target, const IpAddress& sender = kNetwork.guest_v4) {
  return {.operation = wire::ArpOperation::kRequest,
          .sender_mac = kGuestMac,
          .sender_ip = sender,
          .target_mac = {},
          .target_ip = target};
}

TEST(Arp, arp_replies_for_gateway) {
  const ArpAnswer a = ask_arp(who_has(kNetwork.gateway_v4));
  ASSERT_TRUE(a.reply.has_value());
  EXPECT_EQ(a.reply->operation, wire::ArpOperation::kReply);
  EXPECT_EQ(a.reply->sender_mac, kNetwork.gateway_mac);
  EXPECT_EQ(a.reply->sender_ip, kNetwork.gateway_v4);
  EXPECT_EQ(a.reply->target_mac, kGuestMac);
  EXPECT_EQ(a.reply->target_ip, kNetwork.guest_v4);
  EXPECT_EQ(a.frame_destination, kGuestMac);
  EXPECT_EQ(a.answer.guest_mac, kGuestMac);
}

TEST(Arp, arp_replies_for_random_subnet_ip) {
  const IpAddress random = IpAddress::v4(0x0a00'02c8);
  const ArpAnswer a = ask_arp(who_has(random));
  ASSERT_TRUE(a.reply.has_value());
  EXPECT_EQ(a.reply->sender_ip, random);
}

TEST(Arp, arp_does_not_reply_for_guest_ip) {
  EXPECT_FALSE(ask_arp(who_has(kNetwork.guest_v4)).reply.has_value());
  EXPECT_FALSE(
      ask_arp(who_has(kNetwork.guest_v4, IpAddress::v4(std::uint32_t{0}))).reply.has_value());
}

TEST(Arp, DoesNotReplyOutsideTheSubnet) {
  EXPECT_FALSE(ask_arp(who_has(IpAddress::v4(0x0a00'0302))).reply.has_value());
  EXPECT_FALSE(ask_arp(who_has(IpAddress::v4(0x0808'0808))).reply.has_value());
}

TEST(Arp, ProbesPassUnlessTheAddressIsOurs) {
  const IpAddress nobody = IpAddress::v4(std::uint32_t{0});
  EXPECT_FALSE(ask_arp(who_has(IpAddress::v4(0x0a00'0232), nobody)).reply.has_value());
  EXPECT_TRUE(ask_arp(who_has(kNetwork.gateway_v4, nobody)).reply.has_value());
  EXPECT_TRUE(ask_arp(who_has(kNetwork.dns_v4, nobody)).reply.has_value());
}

TEST(Arp, AnnouncementsAndRepliesAreOnlyLearnt) {
  const ArpAnswer gratuitous = ask_arp(who_has(kNetwork.guest_v4, kNetwork.guest_v4));
  EXPECT_FALSE(gratuitous.reply.has_value());
  EXPECT_EQ(gratuitous.answer.guest_mac, kGuestMac);
  wire::ArpRepr reply = who_has(kNetwork.gateway_v4);
  reply.operation = wire::ArpOperation::kReply;
  EXPECT_FALSE(ask_arp(reply).reply.has_value());
}

TEST(Arp, HostileInputIsIgnored) {
  std::array<std::uint8_t, 64> out{};
  std::array<std::uint8_t, 28> bytes{};
  who_has(kNetwork.gateway_v4).emit(bytes);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_EQ(answer_arp(kNetwork, ByteView(bytes).first(n), out).length, 0u);
  }
  wire::ArpRepr broadcast_sender = who_has(kNetwork.gateway_v4);
  broadcast_sender.sender_mac = wire::kBroadcastMac;
  const ArpAnswer a = ask_arp(broadcast_sender);
  EXPECT_FALSE(a.reply.has_value());
  EXPECT_FALSE(a.answer.guest_mac.has_value());
  EXPECT_EQ(answer_arp(kNetwork, bytes, MutableBytes(out).first(41)).length, 0u);
}

TEST(Arp, SilentWithoutIpv4) {
  GuestNetwork network;
  network.ipv4 = false;
  EXPECT_FALSE(ask_arp(who_has(kNetwork.gateway_v4), network).reply.has_value());
}

struct NdpAnswer {
  NeighbourAnswer answer;
  std::optional<wire::NdpMessage> message;
  IpAddress source;
  IpAddress destination;
  MacAddress frame_destination;
};

NdpAnswer ask_ndp(const wire::NdpMessage& message, const IpAddress& source,
                  const IpAddress& destination, std::uint8_t hop_limit = 255,
                  const GuestNetwork& network = kNetwork) {
  std::vector<std::uint8_t> packet(200);
  const std::size_t length =
      wire::emit_ndp(message, source, destination, MutableBytes(packet).subspan(40)).value();
  packet.resize(40 + length);
  wire::Ipv6Repr{.source = source,
                 .destination = destination,
                 .next_header = wire::IpProtocol::kIcmpv6,
                 .hop_limit = hop_limit,
                 .payload_length = static_cast<std::uint16_t>(length)}
      .emit(MutableBytes(packet).first<40>());
  std::array<std::uint8_t, 1514> out{};
  NdpAnswer result;
  result.answer = answer_ndp(network, kGuestMac, wire::parse_ipv6_packet(packet).value(), out);
  if (result.answer.length == 0) return result;
  const auto frame = wire::EthernetView::parse(ByteView(out).first(result.answer.length)).value();
  EXPECT_EQ(frame.source(), network.gateway_mac);
  result.frame_destination = frame.destination();
  const auto ip = wire::parse_ip_packet(frame.ether_type(), frame.payload()).value();
  EXPECT_EQ(ip.hop_limit, 255);
  const auto icmp = wire::Icmpv6View::parse(ip.payload).value();
  EXPECT_TRUE(icmp.checksum_ok(ip.source, ip.destination));
  result.source = ip.source;
  result.destination = ip.destination;
  result.message = wire::parse_ndp(icmp).value();
  return result;
}

NdpAnswer solicit(const IpAddress& target, const IpAddress& source) {
  wire::NeighborSolicitation ns{.target = target};
  if (!source.is_unspecified()) ns.source_link_address = kGuestMac;
  return ask_ndp(ns, source, wire::solicited_node_multicast(target));
}

TEST(Ndp, AnswersForGatewayDnsAndTheSubnet) {
  const IpAddress other = wire::parse_ip("fd00::1234").value();
  for (const IpAddress& target :
       {kNetwork.gateway_v6, kNetwork.dns_v6, kNetwork.gateway_link_local(), other}) {
    const NdpAnswer a = solicit(target, kNetwork.guest_v6);
    ASSERT_TRUE(a.message.has_value()) << wire::to_string(target);
    const auto& na = std::get<wire::NeighborAdvertisement>(*a.message);
    EXPECT_EQ(na.target, target);
    EXPECT_EQ(na.target_link_address, kNetwork.gateway_mac);
    EXPECT_TRUE(na.solicited);
    EXPECT_EQ(a.destination, kNetwork.guest_v6);
    EXPECT_EQ(a.frame_destination, kGuestMac);
    EXPECT_EQ(a.answer.guest_mac, kGuestMac);
  }
}

TEST(Ndp, NeverAnswersForTheGuestOrOthersOutside) {
  EXPECT_FALSE(solicit(kNetwork.guest_v6, kGuestLinkLocal).message.has_value());
  EXPECT_FALSE(solicit(kGuestLinkLocal, kNetwork.guest_v6).message.has_value());
  EXPECT_FALSE(solicit(wire::parse_ip("2001:db8::1").value(), kGuestLinkLocal).message.has_value());
}

// RFC 4862, 5.4: the guest tests its own addresses, the SLAAC ones too, before it uses them.
TEST(Ndp, DuplicateAddressDetectionPasses) {
  for (const char* own : {"fd00::15", "fd00::5054:ff:fe12:3456", "fe80::5054:ff:fe12:3456"}) {
    EXPECT_FALSE(solicit(wire::parse_ip(own).value(), IpAddress()).message.has_value()) << own;
  }
}

TEST(Ndp, DuplicateOfOurAddressIsTold) {
  const NdpAnswer a = solicit(kNetwork.gateway_v6, IpAddress());
  ASSERT_TRUE(a.message.has_value());
  EXPECT_FALSE(std::get<wire::NeighborAdvertisement>(*a.message).solicited);
  EXPECT_EQ(a.destination, wire::parse_ip("ff02::1").value());
  EXPECT_EQ(a.frame_destination, (MacAddress{{0x33, 0x33, 0, 0, 0, 1}}));
}

TEST(Ndp, RouterSolicitationGetsAnAdvertisement) {
  GuestNetwork network;
  network.search_domains = {"example.com", "not..valid", "lan"};
  network.mtu = 9000;
  const NdpAnswer a =
      ask_ndp(wire::RouterSolicitation{kGuestMac}, kGuestLinkLocal, kAllRouters, 255, network);
  ASSERT_TRUE(a.message.has_value());
  EXPECT_EQ(a.source, wire::parse_ip("fe80::5054:ff:fe12:3401").value());
  EXPECT_EQ(a.destination, kGuestLinkLocal);
  const auto& ra = std::get<wire::RouterAdvertisement>(*a.message);
  EXPECT_GT(ra.router_lifetime_seconds, 0);
  EXPECT_TRUE(ra.managed);
  EXPECT_TRUE(ra.other);
  EXPECT_EQ(ra.mtu, 9000u);
  EXPECT_EQ(ra.source_link_address, network.gateway_mac);
  ASSERT_EQ(ra.prefixes.size(), 1u);
  EXPECT_EQ(ra.prefixes[0].prefix, wire::parse_ip("fd00::").value());
  EXPECT_EQ(ra.prefixes[0].length, 64);
  EXPECT_TRUE(ra.prefixes[0].autonomous);
  EXPECT_EQ(ra.dns_servers, std::vector{network.dns_v6});
  ASSERT_EQ(ra.search_domains.size(), 2u);
  EXPECT_EQ(ra.search_domains[0].to_text(), "example.com");
}

TEST(Ndp, RouterSolicitationWithoutAddressIsAnsweredToAll) {
  const NdpAnswer a = ask_ndp(wire::RouterSolicitation{}, IpAddress(), kAllRouters);
  ASSERT_TRUE(a.message.has_value());
  EXPECT_EQ(a.destination, wire::parse_ip("ff02::1").value());
  EXPECT_FALSE(
      ask_ndp(wire::RouterSolicitation{kGuestMac}, IpAddress(), kAllRouters).message.has_value());
}

TEST(Ndp, UnaskedAdvertisementGoesToAllNodes) {
  std::array<std::uint8_t, 1514> out{};
  const std::size_t length = emit_router_advertisement(kNetwork, out);
  ASSERT_GT(length, 0u);
  EXPECT_EQ(wire::EthernetView::parse(ByteView(out).first(length))->destination(),
            (MacAddress{{0x33, 0x33, 0, 0, 0, 1}}));
  GuestNetwork no_dns;
  no_dns.dns = false;
  EXPECT_LT(emit_router_advertisement(no_dns, out), length);
  GuestNetwork no_ipv6;
  no_ipv6.ipv6 = false;
  EXPECT_EQ(emit_router_advertisement(no_ipv6, out), 0u);
  EXPECT_EQ(emit_router_advertisement(kNetwork, MutableBytes(out).first(60)), 0u);
}

TEST(Ndp, WithoutItsServicesItIsSilent) {
  GuestNetwork network;
  std::array<std::uint8_t, 1514> out{};
  network.services.router_advertisements = false;
  EXPECT_EQ(emit_router_advertisement(network, out), 0U);
  EXPECT_FALSE(ask_ndp(wire::RouterSolicitation{}, IpAddress(), kAllRouters, 255, network).message);
  const wire::NeighborSolicitation whom{network.gateway_v6, kGuestMac};
  const IpAddress group = wire::solicited_node_multicast(network.gateway_v6);
  EXPECT_TRUE(ask_ndp(whom, network.guest_v6, group, 255, network).message);
  network.services.neighbour_discovery = false;
  EXPECT_FALSE(ask_ndp(whom, network.guest_v6, group, 255, network).message);
}

TEST(Ndp, ForwardedOrBrokenMessagesAreIgnored) {
  const wire::NeighborSolicitation ns{kNetwork.gateway_v6, kGuestMac};
  const IpAddress group = wire::solicited_node_multicast(kNetwork.gateway_v6);
  const NdpAnswer forwarded = ask_ndp(ns, kNetwork.guest_v6, group, 254);
  EXPECT_FALSE(forwarded.message.has_value());
  EXPECT_FALSE(forwarded.answer.guest_mac.has_value());
  // A probe that is not sent to the solicited-node address (RFC 4861, 7.1.1).
  EXPECT_FALSE(ask_ndp(wire::NeighborSolicitation{kNetwork.gateway_v6, std::nullopt}, IpAddress(),
                       kNetwork.gateway_v6)
                   .message.has_value());
  // An advertisement is only learnt from.
  const NdpAnswer na = ask_ndp(wire::NeighborAdvertisement{.target = kNetwork.guest_v6},
                               kNetwork.guest_v6, kNetwork.gateway_v6);
  EXPECT_FALSE(na.message.has_value());
  EXPECT_EQ(na.answer.guest_mac, kGuestMac);
}

}  // namespace
}  // namespace sluice::flow
