#include "wire/ip/ndp.h"

#include <gtest/gtest.h>

#include "unit/wire/captured_frames.h"
#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

Bytes icmp_of(std::string_view frame) { return cut_front(from_hex(frame), 14 + 40); }
DomainName name(std::string_view text) { return DomainName::from_text(text).value(); }

std::expected<NdpMessage, ParseError> parse(const Bytes& message) {
  const auto icmp = Icmpv6View::parse(message);
  if (!icmp) return std::unexpected(icmp.error());
  return parse_ndp(*icmp);
}

TEST(Ndp, CapturedNeighborSolicitation) {
  const Bytes message = icmp_of(captured::kNeighborSolicitation);
  const NeighborSolicitation expected{ip("fd09::1"), mac("52:54:00:12:34:56")};
  EXPECT_EQ(parse(message), NdpMessage(expected));
  Bytes again(64);
  again.resize(emit_ndp(expected, ip("fd09::15"), ip("ff02::1:ff00:1"), again).value());
  EXPECT_EQ(again, message);
}

TEST(Ndp, CapturedNeighborAdvertisement) {
  const Bytes message = icmp_of(captured::kNeighborAdvertisement);
  const auto parsed = parse(message);
  ASSERT_TRUE(parsed.has_value());
  const auto* advertisement = std::get_if<NeighborAdvertisement>(&*parsed);
  ASSERT_NE(advertisement, nullptr);
  EXPECT_TRUE(advertisement->solicited);
  EXPECT_TRUE(advertisement->override);
  EXPECT_EQ(advertisement->target, ip("fd09::1"));
  EXPECT_EQ(advertisement->target_link_address, mac("52:54:00:12:34:01"));
  Bytes again(64);
  again.resize(emit_ndp(*parsed, ip("fd09::1"), ip("fd09::15"), again).value());
  EXPECT_EQ(again, message);
}

// dnsmasq's own order of options differs from ours, so only the values are compared.
TEST(Ndp, CapturedRouterAdvertisement) {
  const RouterAdvertisement expected{.hop_limit = 64,
                                     .managed = true,
                                     .other = true,
                                     .router_lifetime_seconds = 1800,
                                     .source_link_address = mac("52:54:00:12:34:01"),
                                     .mtu = 1500,
                                     .prefixes = {{.prefix = ip("fd09::"),
                                                   .length = 64,
                                                   .on_link = true,
                                                   .autonomous = false,
                                                   .valid_seconds = 3600,
                                                   .preferred_seconds = 3600}},
                                     .dns_servers = {ip("fd09::3")},
                                     .dns_lifetime_seconds = 3600,
                                     .search_domains = {name("a.example")},
                                     .search_lifetime_seconds = 3600};
  EXPECT_EQ(parse(icmp_of(captured::kRouterAdvertisement)), NdpMessage(expected));
  Bytes again(256);
  again.resize(emit_ndp(expected, ip("fe80::1"), ip("ff02::1"), again).value());
  EXPECT_EQ(again.size(), icmp_of(captured::kRouterAdvertisement).size());
  EXPECT_EQ(parse(again), NdpMessage(expected));
  EXPECT_TRUE(Icmpv6View::parse(again)->checksum_ok(ip("fe80::1"), ip("ff02::1")));
}

TEST(Ndp, RouterSolicitation) {
  EXPECT_EQ(parse(from_hex("85000000 00000000")), NdpMessage(RouterSolicitation{}));
  EXPECT_EQ(parse(from_hex("85000000 00000000 0101525400123456")),
            NdpMessage(RouterSolicitation{mac("52:54:00:12:34:56")}));
}

// A cut between options leaves a valid message with fewer of them; any other cut is an error.
TEST(Ndp, EveryTruncation) {
  for (const std::string_view frame :
       {captured::kRouterAdvertisement, captured::kNeighborSolicitation}) {
    const Bytes message = icmp_of(frame);
    const std::size_t fixed = message[0] == 134 ? 16 : 24;
    for_each_truncation(message, [&](ByteView cut) {
      const auto parsed = parse(copy_of(cut));
      const bool between = cut.size() >= fixed && (cut.size() - fixed) % 8 == 0;
      if (!between) {
        EXPECT_EQ(parsed.error(), ParseError::kTruncated);
      }
      if (parsed) {
        EXPECT_TRUE(between);
      }
    });
  }
}

TEST(Ndp, HostileMessages) {
  EXPECT_EQ(parse(from_hex("85000000 00000000 0100525400123456")).error(), ParseError::kBadLength);
  EXPECT_EQ(parse(from_hex("85000000 00000000 01ff525400123456")).error(), ParseError::kTruncated);
  EXPECT_EQ(parse(from_hex("85010000 00000000")).error(), ParseError::kMalformed);
  EXPECT_EQ(parse(from_hex("80000000 00000000")).error(), ParseError::kUnsupported);
  const auto solicit = [](const IpAddress& target) {
    return from_hex("87000000 00000000") + copy_of(target.octets());
  };
  EXPECT_TRUE(parse(solicit(ip("fd00::1"))).has_value());
  EXPECT_EQ(parse(solicit(ip("ff02::1"))).error(), ParseError::kBadAddress);
  EXPECT_EQ(parse(solicit(ip("10.0.0.1"))).error(), ParseError::kBadAddress);
}

TEST(Ndp, ListsAreBounded) {
  Bytes message = from_hex("86000000 40000708 00000000 00000000");
  const Bytes prefix = from_hex("0304 40c0 00000001 00000001 00000000") + Bytes(16, 0xfd);
  const Bytes server = from_hex("1903 0000 00000001") + Bytes(16, 0xfd);
  for (int i = 0; i < 40; ++i) message = message + prefix + server;
  const auto parsed = parse(message);
  ASSERT_TRUE(parsed.has_value());
  const auto& advertisement = std::get<RouterAdvertisement>(*parsed);
  EXPECT_EQ(advertisement.prefixes.size(), kNdpPrefixesMax);
  EXPECT_EQ(advertisement.dns_servers.size(), kNdpDnsServersMax);
}

TEST(Ndp, NoRoomIsNoMessage) {
  Bytes small(31);
  EXPECT_EQ(emit_ndp(NeighborSolicitation{ip("fd09::1"), mac("52:54:00:12:34:56")}, ip("::"),
                     ip("ff02::1"), small),
            std::nullopt);
}

TEST(Ndp, MulticastAddresses) {
  EXPECT_EQ(solicited_node_multicast(ip("fd09::12:3456")), ip("ff02::1:ff12:3456"));
  EXPECT_EQ(multicast_mac(ip("ff02::1:ff12:3456")), mac("33:33:ff:12:34:56"));
}

}  // namespace
}  // namespace sluice::wire
