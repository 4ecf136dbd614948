#include "flow/lease/dhcp_server.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "wire/ip/ip.h"
#include "wire/link/ethernet.h"
#include "wire/messages/dhcp.h"
#include "wire/transport/udp.h"

namespace sluice::flow {
namespace {

using wire::DhcpMessage;
using wire::DhcpMessageType;
using wire::IpAddress;

const GuestNetwork kNetwork;
constexpr wire::MacAddress kClientMac{{2, 0, 0, 0, 0, 7}};

struct Reply {
  DhcpMessage message;
  wire::MacAddress mac;
  wire::Endpoint destination;
  std::size_t frame_length = 0;
};

std::optional<Reply> ask(const DhcpMessage& request, const GuestNetwork& network = kNetwork) {
  std::array<std::uint8_t, 1500> bytes{};
  const std::size_t size = request.emit(bytes).value();
  std::array<std::uint8_t, 1514> out{};
  const std::size_t length = answer_dhcp(network, ByteView(bytes).first(size), out);
  if (length == 0) return std::nullopt;
  const auto frame = wire::EthernetView::parse(ByteView(out).first(length)).value();
  EXPECT_EQ(frame.source(), network.gateway_mac);
  const auto ip = wire::parse_ip_packet(frame.ether_type(), frame.payload()).value();
  EXPECT_EQ(ip.source, network.gateway_v4);
  const auto udp = wire::UdpView::parse(ip.payload).value();
  EXPECT_TRUE(udp.checksum_ok(ip.source, ip.destination));
  EXPECT_EQ(udp.source_port(), wire::kDhcpServerPort);
  return Reply{DhcpMessage::parse(udp.payload()).value(),
               frame.destination(),
               {ip.destination, udp.destination_port()},
               length};
}

DhcpMessage request_of(DhcpMessageType type) {
  DhcpMessage m;
  m.type = type;
  m.transaction_id = 0xdead'beef;
  m.client_mac = kClientMac;
  return m;
}

TEST(DhcpServer, TellsOnlyWhatItsServicesSay) {
  GuestNetwork network;
  network.search_domains = {"lan"};
  network.full_name = "guest.example.com";
  network.other_resolvers = {IpAddress::v4(0x0909'0909), wire::parse_ip("2001:db8::9").value()};
  auto reply = ask(request_of(DhcpMessageType::kDiscover), network);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->message.dns_servers, std::vector{IpAddress::v4(0x0909'0909)});
  EXPECT_EQ(reply->message.full_name, wire::DomainName::from_text("guest.example.com"));

  network.services.tells_resolvers = false;
  network.services.tells_search_domains = false;
  reply = ask(request_of(DhcpMessageType::kDiscover), network);
  ASSERT_TRUE(reply.has_value());
  EXPECT_TRUE(reply->message.dns_servers.empty());
  EXPECT_TRUE(reply->message.domain_search.empty());
  EXPECT_TRUE(reply->message.domain_name.empty());

  network.services.dhcp = false;
  EXPECT_FALSE(ask(request_of(DhcpMessageType::kDiscover), network).has_value());
}

TEST(DhcpServer, DiscoverGetsAnOffer) {
  GuestNetwork network;
  network.host_name = "guest";
  network.search_domains = {"example.com", "lan"};
  const auto reply = ask(request_of(DhcpMessageType::kDiscover), network);
  ASSERT_TRUE(reply.has_value());
  const DhcpMessage& offer = reply->message;
  EXPECT_EQ(offer.operation, wire::DhcpOperation::kReply);
  EXPECT_EQ(offer.type, DhcpMessageType::kOffer);
  EXPECT_EQ(offer.transaction_id, 0xdead'beefu);
  EXPECT_EQ(offer.client_mac, kClientMac);
  EXPECT_EQ(offer.your_address, network.guest_v4);
  EXPECT_EQ(offer.server_id, network.gateway_v4);
  EXPECT_EQ(offer.subnet_mask, IpAddress::v4(0xffff'ff00));
  EXPECT_EQ(offer.broadcast_address, IpAddress::v4(0x0a00'02ff));
  EXPECT_EQ(offer.routers, std::vector{network.gateway_v4});
  EXPECT_EQ(offer.dns_servers, std::vector{network.dns_v4});
  EXPECT_EQ(offer.mtu, 1500);
  EXPECT_EQ(offer.host_name, "guest");
  EXPECT_EQ(offer.domain_name, "example.com");
  EXPECT_EQ(offer.domain_search.size(), 2u);
  ASSERT_TRUE(offer.lease_seconds.has_value());
  EXPECT_LT(*offer.renewal_seconds, *offer.rebinding_seconds);
  EXPECT_LT(*offer.rebinding_seconds, *offer.lease_seconds);
  // RFC 2131, 4.1: to the address being offered.
  EXPECT_EQ(reply->mac, kClientMac);
  EXPECT_EQ(reply->destination, (wire::Endpoint{network.guest_v4, wire::kDhcpClientPort}));
}

TEST(DhcpServer, BroadcastFlagIsHonoured) {
  DhcpMessage discover = request_of(DhcpMessageType::kDiscover);
  discover.broadcast = true;
  const auto reply = ask(discover);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->mac, wire::kBroadcastMac);
  EXPECT_EQ(reply->destination.address, IpAddress::v4(0xffff'ffff));
}

TEST(DhcpServer, SelectingIsAcknowledged) {
  DhcpMessage request = request_of(DhcpMessageType::kRequest);
  request.server_id = kNetwork.gateway_v4;
  request.requested_address = kNetwork.guest_v4;
  const auto reply = ask(request);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->message.type, DhcpMessageType::kAck);
  EXPECT_EQ(reply->message.your_address, kNetwork.guest_v4);
}

TEST(DhcpServer, AnotherServersOfferIsNotOurs) {
  DhcpMessage request = request_of(DhcpMessageType::kRequest);
  request.server_id = IpAddress::v4(0x0a00'02fe);
  request.requested_address = kNetwork.guest_v4;
  EXPECT_FALSE(ask(request).has_value());
}

TEST(DhcpServer, WrongAddressIsRefusedByBroadcast) {
  DhcpMessage request = request_of(DhcpMessageType::kRequest);
  request.requested_address = IpAddress::v4(0xc0a8'0105);  // INIT-REBOOT from another network.
  const auto reply = ask(request);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->message.type, DhcpMessageType::kNak);
  EXPECT_TRUE(reply->message.your_address.is_unspecified());
  EXPECT_FALSE(reply->message.lease_seconds.has_value());
  EXPECT_EQ(reply->mac, wire::kBroadcastMac);
  EXPECT_EQ(reply->destination.address, IpAddress::v4(0xffff'ffff));
}

TEST(DhcpServer, RenewalIsUnicastToTheClient) {
  DhcpMessage request = request_of(DhcpMessageType::kRequest);
  request.client_address = kNetwork.guest_v4;
  request.broadcast = true;  // ciaddr counts for more (RFC 2131, 4.1).
  const auto reply = ask(request);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->message.type, DhcpMessageType::kAck);
  EXPECT_EQ(reply->destination.address, kNetwork.guest_v4);
  EXPECT_EQ(reply->mac, kClientMac);
}

TEST(DhcpServer, RequestWithoutAnyAddressIsIgnored) {
  EXPECT_FALSE(ask(request_of(DhcpMessageType::kRequest)).has_value());
}

TEST(DhcpServer, InformGetsConfigurationWithoutLease) {
  DhcpMessage inform = request_of(DhcpMessageType::kInform);
  EXPECT_FALSE(ask(inform).has_value());
  inform.client_address = IpAddress::v4(0x0a00'0264);
  const auto reply = ask(inform);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->message.type, DhcpMessageType::kAck);
  EXPECT_TRUE(reply->message.your_address.is_unspecified());
  EXPECT_FALSE(reply->message.lease_seconds.has_value());
  EXPECT_EQ(reply->message.routers, std::vector{kNetwork.gateway_v4});
  EXPECT_EQ(reply->destination.address, inform.client_address);
}

TEST(DhcpServer, OthersGetNoAnswer) {
  for (const auto type : {DhcpMessageType::kDecline, DhcpMessageType::kRelease,
                          DhcpMessageType::kOffer, DhcpMessageType::kAck, DhcpMessageType::kNak}) {
    EXPECT_FALSE(ask(request_of(type)).has_value());
  }
  DhcpMessage relayed = request_of(DhcpMessageType::kDiscover);
  relayed.gateway_address = IpAddress::v4(0x0a00'0202);
  EXPECT_FALSE(ask(relayed).has_value());
  DhcpMessage reply = request_of(DhcpMessageType::kDiscover);
  reply.operation = wire::DhcpOperation::kReply;
  EXPECT_FALSE(ask(reply).has_value());
  GuestNetwork no_ipv4;
  no_ipv4.ipv4 = false;
  EXPECT_FALSE(ask(request_of(DhcpMessageType::kDiscover), no_ipv4).has_value());
}

TEST(DhcpServer, LongListsGiveWayToTheClientsSize) {
  GuestNetwork network;
  for (int i = 0; i < 30; ++i) {
    network.search_domains.push_back("a-long-search-domain-number-" + std::to_string(i) + ".test");
  }
  const auto small = ask(request_of(DhcpMessageType::kDiscover), network);
  ASSERT_TRUE(small.has_value());
  EXPECT_LE(small->frame_length, 14u + 576u);
  EXPECT_EQ(small->message.your_address, network.guest_v4);
  DhcpMessage roomy = request_of(DhcpMessageType::kDiscover);
  roomy.max_message_size = std::uint16_t{1500};
  const auto large = ask(roomy, network);
  ASSERT_TRUE(large.has_value());
  EXPECT_GT(large->message.domain_search.size(), small->message.domain_search.size());
}

TEST(DhcpServer, TruncatedInputAndSmallBuffers) {
  std::array<std::uint8_t, 1500> bytes{};
  const std::size_t size = request_of(DhcpMessageType::kDiscover).emit(bytes).value();
  std::array<std::uint8_t, 1514> out{};
  for (std::size_t n = 0; n < 240; ++n) {
    EXPECT_EQ(answer_dhcp(kNetwork, ByteView(bytes).first(n), out), 0u);
  }
  for (std::size_t n = 0; n < 300; ++n) {
    EXPECT_EQ(answer_dhcp(kNetwork, ByteView(bytes).first(size), MutableBytes(out).first(n)), 0u);
  }
}

}  // namespace
}  // namespace sluice::flow
