#include "flow/lease/dhcpv6_server.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <vector>

#include "wire/ip/ip.h"
#include "wire/link/ethernet.h"
#include "wire/messages/dhcpv6.h"
#include "wire/transport/udp.h"

namespace sluice::flow {
namespace {

using wire::Dhcpv6Message;
using wire::Dhcpv6MessageType;
using wire::Dhcpv6StatusCode;

const GuestNetwork kNetwork;
const Dhcpv6Client kClient{
    {{2, 0, 0, 0, 0, 7}},
    {wire::parse_ip("fe80::7").value(), wire::kDhcpv6ClientPort},
};
const std::vector<std::uint8_t> kClientId{0, 3, 0, 1, 2, 0, 0, 0, 0, 7};

std::optional<Dhcpv6Message> ask(const Dhcpv6Message& request,
                                 const GuestNetwork& network = kNetwork) {
  std::array<std::uint8_t, 1500> bytes{};
  const std::size_t size = request.emit(bytes).value();
  std::array<std::uint8_t, 1514> out{};
  const std::size_t length = answer_dhcpv6(network, kClient, ByteView(bytes).first(size), out);
  if (length == 0) return std::nullopt;
  const auto frame = wire::EthernetView::parse(ByteView(out).first(length)).value();
  EXPECT_EQ(frame.destination(), kClient.mac);
  const auto ip = wire::parse_ip_packet(frame.ether_type(), frame.payload()).value();
  EXPECT_EQ(ip.source, network.gateway_link_local());
  EXPECT_EQ(ip.destination, kClient.endpoint.address);
  const auto udp = wire::UdpView::parse(ip.payload).value();
  EXPECT_TRUE(udp.checksum_ok(ip.source, ip.destination));
  EXPECT_EQ(udp.source_port(), wire::kDhcpv6ServerPort);
  EXPECT_EQ(udp.destination_port(), wire::kDhcpv6ClientPort);
  const auto reply = Dhcpv6Message::parse(udp.payload()).value();
  EXPECT_EQ(reply.transaction_id, request.transaction_id);
  EXPECT_EQ(reply.client_id, request.client_id);
  EXPECT_EQ(reply.server_id, wire::make_duid_ll(network.gateway_mac));
  return reply;
}

Dhcpv6Message request_of(Dhcpv6MessageType type) {
  Dhcpv6Message m;
  m.type = type;
  m.transaction_id = 0xabcdef;
  m.client_id = kClientId;
  return m;
}
Dhcpv6Message to_us(Dhcpv6MessageType type) {
  Dhcpv6Message m = request_of(type);
  m.server_id = wire::make_duid_ll(kNetwork.gateway_mac);
  return m;
}

TEST(Dhcpv6Server, TellsOnlyWhatItsServicesSay) {
  GuestNetwork network;
  network.search_domains = {"lan"};
  network.full_name = "guest.example.com";
  network.other_resolvers = {wire::IpAddress::v4(0x0909'0909),
                             wire::parse_ip("2001:db8::9").value()};
  auto reply = ask(request_of(Dhcpv6MessageType::kInformationRequest), network);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->dns_servers, std::vector{wire::parse_ip("2001:db8::9").value()});
  EXPECT_EQ(reply->domain_list.size(), 1U);
  EXPECT_EQ(reply->full_name, wire::DomainName::from_text("guest.example.com"));

  network.services.tells_resolvers = false;
  network.services.tells_search_domains = false;
  reply = ask(request_of(Dhcpv6MessageType::kInformationRequest), network);
  ASSERT_TRUE(reply.has_value());
  EXPECT_TRUE(reply->dns_servers.empty());
  EXPECT_TRUE(reply->domain_list.empty());

  network.services.dhcpv6 = false;
  EXPECT_FALSE(ask(request_of(Dhcpv6MessageType::kInformationRequest), network).has_value());
}

TEST(Dhcpv6Server, SolicitGetsAnAdvertisement) {
  GuestNetwork network;
  network.search_domains = {"example.com"};
  Dhcpv6Message solicit = request_of(Dhcpv6MessageType::kSolicit);
  solicit.ia_nas.push_back({.id = 42});
  const auto reply = ask(solicit, network);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->type, Dhcpv6MessageType::kAdvertise);
  ASSERT_EQ(reply->ia_nas.size(), 1u);
  EXPECT_EQ(reply->ia_nas[0].id, 42u);
  ASSERT_EQ(reply->ia_nas[0].addresses.size(), 1u);
  EXPECT_EQ(reply->ia_nas[0].addresses[0].address, network.guest_v6);
  EXPECT_GT(reply->ia_nas[0].addresses[0].preferred_seconds, reply->ia_nas[0].t2_seconds);
  EXPECT_EQ(reply->dns_servers, std::vector{network.dns_v6});
  EXPECT_EQ(reply->domain_list.size(), 1u);
  EXPECT_EQ(reply->preference, 255);
}

TEST(Dhcpv6Server, RapidCommitGetsTheLeaseAtOnce) {
  Dhcpv6Message solicit = request_of(Dhcpv6MessageType::kSolicit);
  solicit.rapid_commit = true;
  solicit.ia_nas.push_back({.id = 1});
  const auto reply = ask(solicit);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->type, Dhcpv6MessageType::kReply);
  EXPECT_TRUE(reply->rapid_commit);
  EXPECT_EQ(reply->ia_nas[0].addresses[0].address, kNetwork.guest_v6);
}

TEST(Dhcpv6Server, RequestRenewAndRebindKeepTheLease) {
  for (const auto type :
       {Dhcpv6MessageType::kRequest, Dhcpv6MessageType::kRenew, Dhcpv6MessageType::kRebind}) {
    Dhcpv6Message m = type == Dhcpv6MessageType::kRebind ? request_of(type) : to_us(type);
    m.ia_nas.push_back({.id = 3, .addresses = {{kNetwork.guest_v6, 0, 0}}});
    const auto reply = ask(m);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->type, Dhcpv6MessageType::kReply);
    ASSERT_EQ(reply->ia_nas.size(), 1u);
    ASSERT_EQ(reply->ia_nas[0].addresses.size(), 1u);
    EXPECT_GT(reply->ia_nas[0].addresses[0].valid_seconds, 0u);
  }
}

TEST(Dhcpv6Server, ForeignAddressesRunOutOnRenewal) {
  const auto stale = wire::parse_ip("fd00::99").value();
  Dhcpv6Message renew = to_us(Dhcpv6MessageType::kRenew);
  renew.ia_nas.push_back({.id = 3, .addresses = {{stale, 100, 200}}});
  const auto reply = ask(renew);
  ASSERT_TRUE(reply.has_value());
  ASSERT_EQ(reply->ia_nas[0].addresses.size(), 2u);
  EXPECT_EQ(reply->ia_nas[0].addresses[0].address, kNetwork.guest_v6);
  EXPECT_EQ(reply->ia_nas[0].addresses[1].address, stale);
  EXPECT_EQ(reply->ia_nas[0].addresses[1].valid_seconds, 0u);
}

TEST(Dhcpv6Server, SecondAssociationGetsNoAddress) {
  Dhcpv6Message solicit = request_of(Dhcpv6MessageType::kSolicit);
  solicit.ia_nas = {{.id = 1}, {.id = 2}};
  const auto reply = ask(solicit);
  ASSERT_TRUE(reply.has_value());
  ASSERT_EQ(reply->ia_nas.size(), 2u);
  EXPECT_TRUE(reply->ia_nas[1].addresses.empty());
  ASSERT_TRUE(reply->ia_nas[1].status.has_value());
  EXPECT_EQ(reply->ia_nas[1].status->code, Dhcpv6StatusCode::kNoAddrsAvail);
}

TEST(Dhcpv6Server, ConfirmTellsWhetherAddressesAreOnLink) {
  Dhcpv6Message confirm = request_of(Dhcpv6MessageType::kConfirm);
  EXPECT_FALSE(ask(confirm).has_value());
  confirm.ia_nas.push_back({.id = 1, .addresses = {{kNetwork.guest_v6, 0, 0}}});
  auto reply = ask(confirm);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status->code, Dhcpv6StatusCode::kSuccess);
  confirm.ia_nas[0].addresses.push_back({wire::parse_ip("2001:db8::1").value(), 0, 0});
  reply = ask(confirm);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status->code, Dhcpv6StatusCode::kNotOnLink);
}

TEST(Dhcpv6Server, ReleaseAndDeclineSucceed) {
  for (const auto type : {Dhcpv6MessageType::kRelease, Dhcpv6MessageType::kDecline}) {
    const auto reply = ask(to_us(type));
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status->code, Dhcpv6StatusCode::kSuccess);
  }
}

TEST(Dhcpv6Server, InformationRequestGetsConfiguration) {
  Dhcpv6Message m = request_of(Dhcpv6MessageType::kInformationRequest);
  m.client_id.clear();
  const auto reply = ask(m);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->dns_servers, std::vector{kNetwork.dns_v6});
  EXPECT_TRUE(reply->ia_nas.empty());
}

// RFC 8415, 16.
TEST(Dhcpv6Server, InvalidMessagesAreIgnored) {
  EXPECT_FALSE(ask(to_us(Dhcpv6MessageType::kSolicit)).has_value());
  EXPECT_FALSE(ask(request_of(Dhcpv6MessageType::kRequest)).has_value());
  EXPECT_FALSE(ask(request_of(Dhcpv6MessageType::kAdvertise)).has_value());
  EXPECT_FALSE(ask(to_us(Dhcpv6MessageType::kReply)).has_value());
  Dhcpv6Message other = request_of(Dhcpv6MessageType::kRequest);
  other.server_id = {9, 9, 9};
  EXPECT_FALSE(ask(other).has_value());
  Dhcpv6Message anonymous = request_of(Dhcpv6MessageType::kSolicit);
  anonymous.client_id.clear();
  EXPECT_FALSE(ask(anonymous).has_value());
  Dhcpv6Message information = request_of(Dhcpv6MessageType::kInformationRequest);
  information.ia_nas.push_back({.id = 1});
  EXPECT_FALSE(ask(information).has_value());
  GuestNetwork no_ipv6;
  no_ipv6.ipv6 = false;
  EXPECT_FALSE(ask(request_of(Dhcpv6MessageType::kSolicit), no_ipv6).has_value());
}

TEST(Dhcpv6Server, HostileBytesAndSmallBuffers) {
  std::array<std::uint8_t, 1500> bytes{};
  Dhcpv6Message solicit = request_of(Dhcpv6MessageType::kSolicit);
  solicit.ia_nas.push_back({.id = 1});
  const std::size_t size = solicit.emit(bytes).value();
  std::array<std::uint8_t, 1514> out{};
  const ByteView message = ByteView(bytes).first(size);
  EXPECT_EQ(answer_dhcpv6(kNetwork, kClient, message.first(3), out), 0u);
  EXPECT_EQ(answer_dhcpv6(kNetwork, kClient, message.first(size - 1), out), 0u);
  for (std::size_t n = 0; n < 100; ++n) {
    EXPECT_EQ(answer_dhcpv6(kNetwork, kClient, message, MutableBytes(out).first(n)), 0u);
  }
  Dhcpv6Client nobody = kClient;
  nobody.endpoint.address = {};
  EXPECT_EQ(answer_dhcpv6(kNetwork, nobody, message, out), 0u);
}

}  // namespace
}  // namespace sluice::flow
