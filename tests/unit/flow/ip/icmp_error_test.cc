#include "flow/ip/icmp_error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "wire/ip/icmp.h"
#include "wire/ip/icmpv6.h"
#include "wire/ip/ipv4.h"
#include "wire/ip/ipv6.h"
#include "wire/ip/quoted_packet.h"
#include "wire/transport/udp.h"

namespace sluice::flow {
namespace {

using namespace std::chrono_literals;
using wire::IpAddress;
using wire::IpProtocol;

const GuestNetwork kNetwork;
constexpr wire::MacAddress kGuestMac{{2, 0, 0, 0, 0, 9}};
const IpAddress kRemoteV4 = IpAddress::v4(0xcb00'7105);
const IpAddress kRouterV4 = IpAddress::v4(0xcb00'7101);
const IpAddress kRemoteV6 = wire::parse_ip("2001:db8::5").value();

std::vector<std::uint8_t> packet(const IpAddress& from, const IpAddress& to, IpProtocol protocol,
                                 std::size_t payload_size, std::uint8_t first_byte = 0x12) {
  std::vector<std::uint8_t> bytes((from.is_v4() ? 20 : 40) + payload_size, 0x33);
  if (from.is_v4()) {
    wire::Ipv4Repr{.source = from,
                   .destination = to,
                   .protocol = protocol,
                   .payload_length = static_cast<std::uint16_t>(payload_size)}
        .emit(MutableBytes(bytes).first<20>());
  } else {
    wire::Ipv6Repr{.source = from,
                   .destination = to,
                   .next_header = protocol,
                   .payload_length = static_cast<std::uint16_t>(payload_size)}
        .emit(MutableBytes(bytes).first<40>());
  }
  if (payload_size > 0) bytes[from.is_v4() ? 20 : 40] = first_byte;
  return bytes;
}

wire::IpPacketView view_of(const std::vector<std::uint8_t>& bytes) {
  return (bytes[0] >> 4) == 4 ? wire::parse_ipv4_packet(bytes).value()
                              : wire::parse_ipv6_packet(bytes).value();
}

struct Answer {
  std::array<std::uint8_t, kIcmpErrorFrameMax> frame{};
  std::size_t length = 0;
  [[nodiscard]] wire::EthernetView ethernet() const {
    return wire::EthernetView::parse(ByteView(frame).first(length)).value();
  }
  [[nodiscard]] wire::IpPacketView ip() const {
    return wire::parse_ip_packet(ethernet().ether_type(), ethernet().payload()).value();
  }
};

Answer answer(const IcmpError& error, const std::vector<std::uint8_t>& offending) {
  Answer a;
  a.length = emit_icmp_error(error, kNetwork, kGuestMac, view_of(offending), a.frame);
  return a;
}

TEST(IcmpError, V4QuotesTheOffendingPacket) {
  const auto sent = packet(kNetwork.guest_v4, kRemoteV4, IpProtocol::kUdp, 40);
  const Answer a = answer({.kind = IcmpErrorKind::kPortUnreachable, .from = kRemoteV4}, sent);
  ASSERT_GT(a.length, 0u);
  EXPECT_EQ(a.ethernet().destination(), kGuestMac);
  EXPECT_EQ(a.ethernet().source(), kNetwork.gateway_mac);
  EXPECT_EQ(a.ip().source, kRemoteV4);
  EXPECT_EQ(a.ip().destination, kNetwork.guest_v4);
  const auto icmp = wire::IcmpView::parse(a.ip().payload).value();
  EXPECT_TRUE(icmp.checksum_ok());
  EXPECT_EQ(icmp.type(), wire::IcmpType::kDestinationUnreachable);
  EXPECT_EQ(icmp.code(), 3);
  EXPECT_TRUE(std::ranges::equal(icmp.payload(), sent));
}

TEST(IcmpError, V6QuotesTheOffendingPacket) {
  const auto sent = packet(kNetwork.guest_v6, kRemoteV6, IpProtocol::kTcp, 40);
  const Answer a = answer({.kind = IcmpErrorKind::kProhibited}, sent);
  ASSERT_GT(a.length, 0u);
  EXPECT_EQ(a.ip().source, kNetwork.gateway_v6);
  const auto icmp = wire::Icmpv6View::parse(a.ip().payload).value();
  EXPECT_TRUE(icmp.checksum_ok(a.ip().source, a.ip().destination));
  EXPECT_EQ(icmp.type(), wire::Icmpv6Type::kDestinationUnreachable);
  EXPECT_EQ(icmp.code(), 1);
  EXPECT_TRUE(std::ranges::equal(icmp.payload(), sent));
}

TEST(IcmpError, EveryKindHasItsTypeAndCode) {
  struct Row {
    IcmpErrorKind kind;
    int type_v4, code_v4, type_v6, code_v6;
  };
  constexpr std::array kRows{
      Row{IcmpErrorKind::kNetUnreachable, 3, 0, 1, 0},
      Row{IcmpErrorKind::kHostUnreachable, 3, 1, 1, 3},
      Row{IcmpErrorKind::kProtocolUnreachable, 3, 2, 4, 1},
      Row{IcmpErrorKind::kPortUnreachable, 3, 3, 1, 4},
      Row{IcmpErrorKind::kProhibited, 3, 13, 1, 1},
      Row{IcmpErrorKind::kTooBig, 3, 4, 2, 0},
      Row{IcmpErrorKind::kTimeExceeded, 11, 0, 3, 0},
  };
  const auto v4 = packet(kNetwork.guest_v4, kRemoteV4, IpProtocol::kUdp, 8);
  const auto v6 = packet(kNetwork.guest_v6, kRemoteV6, IpProtocol::kUdp, 8);
  for (const Row& row : kRows) {
    const Answer a = answer({.kind = row.kind, .mtu = 1400}, v4);
    ASSERT_GT(a.length, 0u);
    EXPECT_EQ(a.ip().payload[0], row.type_v4);
    EXPECT_EQ(a.ip().payload[1], row.code_v4);
    const Answer b = answer({.kind = row.kind, .mtu = 1400}, v6);
    ASSERT_GT(b.length, 0u);
    EXPECT_EQ(b.ip().payload[0], row.type_v6);
    EXPECT_EQ(b.ip().payload[1], row.code_v6);
    // What we send reads back as what it was.
    EXPECT_EQ(icmp_error_kind(wire::IpFamily::kV4, a.ip().payload[0], a.ip().payload[1]), row.kind);
    EXPECT_EQ(icmp_error_kind(wire::IpFamily::kV6, b.ip().payload[0], b.ip().payload[1]), row.kind);
  }
}

TEST(IcmpError, TooBigTellsTheMtu) {
  const IcmpError error{.kind = IcmpErrorKind::kTooBig, .mtu = 1280, .from = kRouterV4};
  const Answer v4 = answer(error, packet(kNetwork.guest_v4, kRemoteV4, IpProtocol::kTcp, 1400));
  ASSERT_GT(v4.length, 0u);
  EXPECT_EQ(wire::IcmpView::parse(v4.ip().payload)->next_hop_mtu(), 1280);
  const Answer v6 = answer(error, packet(kNetwork.guest_v6, kRemoteV6, IpProtocol::kTcp, 1400));
  ASSERT_GT(v6.length, 0u);
  EXPECT_EQ(wire::Icmpv6View::parse(v6.ip().payload)->mtu(), 1280u);
  // An IPv4 router cannot have sent an ICMPv6 error.
  EXPECT_EQ(v6.ip().source, kNetwork.gateway_v6);
}

TEST(IcmpError, SizesStayWithinTheRfcs) {
  const IcmpError error{.kind = IcmpErrorKind::kHostUnreachable};
  const Answer v4 = answer(error, packet(kNetwork.guest_v4, kRemoteV4, IpProtocol::kUdp, 1400));
  EXPECT_EQ(v4.length, 14u + 576u);  // RFC 1812, 4.3.2.3
  const Answer v6 = answer(error, packet(kNetwork.guest_v6, kRemoteV6, IpProtocol::kUdp, 1400));
  EXPECT_EQ(v6.length, 14u + 1280u);  // RFC 4443, 2.4 c
}

TEST(IcmpError, NeverAnswersWhatMustNotBeAnswered) {
  const IcmpError error{.kind = IcmpErrorKind::kHostUnreachable};
  const auto silent = [&](const std::vector<std::uint8_t>& p) { return answer(error, p).length; };
  const IpAddress guest4 = kNetwork.guest_v4;
  const IpAddress guest6 = kNetwork.guest_v6;
  // ICMP errors and redirects; truncated ICMP, which may be one.
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{3, 5, 11, 12}) {
    EXPECT_EQ(silent(packet(guest4, kRemoteV4, IpProtocol::kIcmp, 16, type)), 0u);
  }
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{1, 2, 3, 4, 100, 127, 137}) {
    EXPECT_EQ(silent(packet(guest6, kRemoteV6, IpProtocol::kIcmpv6, 16, type)), 0u);
  }
  EXPECT_EQ(silent(packet(guest4, kRemoteV4, IpProtocol::kIcmp, 4, 8)), 0u);
  // Multicast and broadcast.
  EXPECT_EQ(silent(packet(guest4, IpAddress::v4(0xe000'00fb), IpProtocol::kUdp, 16)), 0u);
  EXPECT_EQ(silent(packet(guest4, IpAddress::v4(0xffff'ffff), IpProtocol::kUdp, 16)), 0u);
  EXPECT_EQ(silent(packet(guest4, IpAddress::v4(0x0a00'02ff), IpProtocol::kUdp, 16)), 0u);
  EXPECT_EQ(silent(packet(guest6, wire::parse_ip("ff02::1").value(), IpProtocol::kUdp, 16)), 0u);
  EXPECT_EQ(silent(packet(IpAddress::v4(0), kRemoteV4, IpProtocol::kUdp, 16)), 0u);
  EXPECT_EQ(silent(packet(IpAddress(), kRemoteV6, IpProtocol::kUdp, 16)), 0u);
  // But an echo request is answered.
  EXPECT_GT(silent(packet(guest4, kRemoteV4, IpProtocol::kIcmp, 16, 8)), 0u);
  EXPECT_GT(silent(packet(guest6, kRemoteV6, IpProtocol::kIcmpv6, 16, 128)), 0u);
}

TEST(IcmpError, OnlyTheFirstFragmentIsAnswered) {
  const auto sent = packet(kNetwork.guest_v4, kRemoteV4, IpProtocol::kUdp, 64);
  wire::IpPacketView view = view_of(sent);
  std::array<std::uint8_t, kIcmpErrorFrameMax> out{};
  const IcmpError error{.kind = IcmpErrorKind::kTimeExceeded};
  view.fragment = wire::IpFragment{.offset = 8, .more = true, .identification = 1};
  EXPECT_EQ(emit_icmp_error(error, kNetwork, kGuestMac, view, out), 0u);
  view.fragment->offset = 0;
  EXPECT_GT(emit_icmp_error(error, kNetwork, kGuestMac, view, out), 0u);
}

TEST(IcmpError, SmallBufferYieldsNothing) {
  const auto sent = packet(kNetwork.guest_v4, kRemoteV4, IpProtocol::kUdp, 64);
  std::vector<std::uint8_t> out(14 + 20 + 8 + sent.size() - 1, 0x77);
  const IcmpError error{.kind = IcmpErrorKind::kTimeExceeded};
  EXPECT_EQ(emit_icmp_error(error, kNetwork, kGuestMac, view_of(sent), out), 0u);
  EXPECT_TRUE(std::ranges::all_of(out, [](std::uint8_t b) { return b == 0x77; }));
}

TEST(IcmpError, LostUdpPacketIsRebuilt) {
  for (const bool ipv4 : {true, false}) {
    const std::vector<std::uint8_t> payload(32, 0x40);
    const LostPacket lost{.protocol = IpProtocol::kUdp,
                          .guest = {ipv4 ? kNetwork.guest_v4 : kNetwork.guest_v6, {40'000}},
                          .remote = {ipv4 ? kRemoteV4 : kRemoteV6, {33'434}},
                          .payload = payload,
                          .payload_size = payload.size()};
    std::array<std::uint8_t, kIcmpErrorFrameMax> out{};
    const IcmpError error{.kind = IcmpErrorKind::kTimeExceeded,
                          .from = ipv4 ? kRouterV4 : wire::parse_ip("2001:db8::1").value()};
    const std::size_t length = emit_icmp_error(error, kNetwork, kGuestMac, lost, out);
    ASSERT_GT(length, 0u);
    const auto ethernet = wire::EthernetView::parse(ByteView(out).first(length)).value();
    const auto ip = wire::parse_ip_packet(ethernet.ether_type(), ethernet.payload()).value();
    EXPECT_EQ(ip.source, error.from);
    const ByteView quote = ip.payload.subspan(8);
    const auto quoted = ipv4 ? wire::parse_quoted_ipv4(quote) : wire::parse_quoted_ipv6(quote);
    ASSERT_TRUE(quoted.has_value());
    EXPECT_EQ(quoted->source, lost.guest.address);
    EXPECT_EQ(quoted->destination, lost.remote.address);
    EXPECT_EQ(quoted->source_port(), lost.guest.port);
    EXPECT_EQ(quoted->destination_port(), lost.remote.port);
    const auto udp = wire::UdpView::parse(quoted->transport).value();
    EXPECT_EQ(udp.length(), 40);
    EXPECT_TRUE(udp.checksum_ok(quoted->source, quoted->destination));
    EXPECT_TRUE(std::ranges::equal(udp.payload(), payload));
  }
}

TEST(IcmpError, LostEchoIsRebuilt) {
  const LostPacket lost{.protocol = IpProtocol::kIcmp,
                        .guest = {kNetwork.guest_v4, {0x1234}},
                        .remote = {kRemoteV4, {7}},
                        .payload_size = 56};
  std::array<std::uint8_t, kIcmpErrorFrameMax> out{};
  const std::size_t length = emit_icmp_error(
      {.kind = IcmpErrorKind::kTimeExceeded, .from = kRouterV4}, kNetwork, kGuestMac, lost, out);
  ASSERT_GT(length, 0u);
  const auto ethernet = wire::EthernetView::parse(ByteView(out).first(length)).value();
  const auto ip = wire::parse_ip_packet(ethernet.ether_type(), ethernet.payload()).value();
  const auto quoted = wire::parse_quoted_ipv4(ip.payload.subspan(8)).value();
  EXPECT_EQ(quoted.protocol, IpProtocol::kIcmp);
  const auto echo = wire::IcmpView::parse(quoted.transport).value();
  EXPECT_EQ(echo.type(), wire::IcmpType::kEchoRequest);
  EXPECT_EQ(echo.identifier(), 0x1234);
  EXPECT_EQ(echo.sequence_number(), 7);
}

TEST(IcmpError, LostSynIsRebuilt) {
  const wire::Endpoint guest{kNetwork.guest_v4, {40'000}};
  const wire::Endpoint remote{kRemoteV4, {443}};
  std::array<std::uint8_t, kIcmpErrorFrameMax> out{};
  const std::size_t length =
      emit_icmp_error({.kind = IcmpErrorKind::kProhibited}, kNetwork, kGuestMac,
                      LostPacket::syn(guest, remote, wire::SeqNum{0x0102'0304}), out);
  ASSERT_GT(length, 0u);
  const auto ethernet = wire::EthernetView::parse(ByteView(out).first(length)).value();
  const auto ip = wire::parse_ip_packet(ethernet.ether_type(), ethernet.payload()).value();
  const auto quoted = wire::parse_quoted_ipv4(ip.payload.subspan(8)).value();
  EXPECT_EQ(quoted.protocol, IpProtocol::kTcp);
  EXPECT_EQ(quoted.source, guest.address);
  EXPECT_EQ(quoted.source_port(), guest.port);
  EXPECT_EQ(quoted.destination_port(), remote.port);
  // A guest's kernel takes an error for its own by the number.
  const std::vector<std::uint8_t> number(quoted.transport.begin() + 4,
                                         quoted.transport.begin() + 8);
  EXPECT_EQ(number, (std::vector<std::uint8_t>{1, 2, 3, 4}));
}

TEST(IcmpError, LostPacketOfMixedFamiliesOrOtherProtocolYieldsNothing) {
  std::array<std::uint8_t, kIcmpErrorFrameMax> out{};
  const IcmpError error{.kind = IcmpErrorKind::kHostUnreachable};
  LostPacket lost{
      .protocol = IpProtocol::kUdp, .guest = {kNetwork.guest_v4, {1}}, .remote = {kRemoteV6, {2}}};
  EXPECT_EQ(emit_icmp_error(error, kNetwork, kGuestMac, lost, out), 0u);
  lost.remote.address = kRemoteV4;
  lost.protocol = IpProtocol::kIcmpv6;
  EXPECT_EQ(emit_icmp_error(error, kNetwork, kGuestMac, lost, out), 0u);
}

TEST(IcmpErrorKind, ForeignMessagesMeanNothing) {
  EXPECT_EQ(icmp_error_kind(wire::IpFamily::kV4, 8, 0), std::nullopt);
  EXPECT_EQ(icmp_error_kind(wire::IpFamily::kV4, 5, 1), std::nullopt);
  EXPECT_EQ(icmp_error_kind(wire::IpFamily::kV4, 3, 200), std::nullopt);
  EXPECT_EQ(icmp_error_kind(wire::IpFamily::kV6, 1, 200), std::nullopt);
  EXPECT_EQ(icmp_error_kind(wire::IpFamily::kV6, 128, 0), std::nullopt);
  EXPECT_EQ(icmp_error_kind(wire::IpFamily::kV4, 3, 10), IcmpErrorKind::kProhibited);
}

TEST(IcmpErrorLimiter, BurstThenRate) {
  IcmpErrorLimiter limiter(10, 5);
  Instant now{50s};
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.allow(now));
  EXPECT_FALSE(limiter.allow(now));
  EXPECT_FALSE(limiter.allow(now + 99ms));
  EXPECT_TRUE(limiter.allow(now + 100ms));
  EXPECT_FALSE(limiter.allow(now + 150ms));
  // Ten a second, no matter how often one asks.
  int allowed = 0;
  for (int ms = 200; ms < 1200; ++ms) allowed += limiter.allow(now + ms * 1ms) ? 1 : 0;
  EXPECT_EQ(allowed, 10);
  // A long rest fills the bucket and no more.
  now += 1h;
  allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += limiter.allow(now) ? 1 : 0;
  EXPECT_EQ(allowed, 5);
}

TEST(IcmpErrorLimiter, RateOfZeroSpendsTheBurstOnly) {
  IcmpErrorLimiter limiter(0, 2);
  EXPECT_TRUE(limiter.allow(Instant{1s}));
  EXPECT_TRUE(limiter.allow(Instant{2s}));
  EXPECT_FALSE(limiter.allow(Instant{100h}));
}

}  // namespace
}  // namespace sluice::flow
