// Ethernet, IPv4, IPv6 and the view of both.
#include "wire/ip/ip.h"

#include <gtest/gtest.h>

#include "unit/wire/captured_frames.h"
#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

Bytes ip_of(std::string_view frame) { return cut_front(from_hex(frame), kEthernetHeaderSize); }

TEST(Ethernet, CapturedFrame) {
  const Bytes frame = from_hex(captured::kArpRequest);
  const auto view = EthernetView::parse(frame);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->destination(), kBroadcastMac);
  EXPECT_EQ(view->source(), mac("52:54:00:12:34:56"));
  EXPECT_EQ(view->ether_type(), EtherType::kArp);
  EXPECT_EQ(view->payload().size(), 28U);

  Bytes header(kEthernetHeaderSize);
  emit_ethernet(MutableBytes(header).first<kEthernetHeaderSize>(), view->destination(),
                view->source(), view->ether_type());
  EXPECT_EQ(header, copy_of(ByteView(frame).first(kEthernetHeaderSize)));
}

TEST(Ethernet, EveryTruncationOfTheHeader) {
  const Bytes header(kEthernetHeaderSize);
  EXPECT_TRUE(EthernetView::parse(header).has_value());
  for_each_truncation(header, [](ByteView cut) {
    EXPECT_EQ(EthernetView::parse(cut).error(), ParseError::kTruncated);
  });
}

TEST(Ipv4, CapturedSyn) {
  const Bytes packet = ip_of(captured::kTcpSynV4);
  const auto view = Ipv4View::parse(packet);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->source(), ip("10.9.0.15"));
  EXPECT_EQ(view->destination(), ip("10.9.0.1"));
  EXPECT_EQ(view->protocol(), IpProtocol::kTcp);
  EXPECT_EQ(view->ttl(), 64);
  EXPECT_TRUE(view->dont_fragment());
  EXPECT_FALSE(view->is_fragment());
  EXPECT_EQ(view->header_length(), 20U);
  EXPECT_TRUE(view->header_checksum_ok());
  EXPECT_EQ(view->payload().size(), 40U);
  EXPECT_TRUE(view->options().empty());
}

TEST(Ipv4, ReprWritesTheCapturedHeaderAgain) {
  const Bytes packet = ip_of(captured::kTcpSynV4);
  const auto view = Ipv4View::parse(packet);
  ASSERT_TRUE(view.has_value());
  const Ipv4Repr repr{.source = view->source(),
                      .destination = view->destination(),
                      .protocol = view->protocol(),
                      .ttl = view->ttl(),
                      .payload_length = 40,
                      .identification = view->identification(),
                      .dont_fragment = true,
                      .tos = view->dscp_ecn()};
  Bytes header(20);
  repr.emit(MutableBytes(header).first<20>());
  EXPECT_EQ(header, copy_of(ByteView(packet).first(20)));
}

TEST(Ipv4, EveryTruncation) {
  for_each_truncation(ip_of(captured::kTcpSynV4), [](ByteView cut) {
    EXPECT_EQ(Ipv4View::parse(cut).error(), ParseError::kTruncated);
  });
}

TEST(Ipv4, LinkPaddingIsDropped) {
  const Bytes packet = ip_of(captured::kPingV4);
  const Bytes padded = packet + Bytes(6, 0xaa);
  const auto view = Ipv4View::parse(padded);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->packet().size(), packet.size());
}

TEST(Ipv4, LastFragment) {
  const Bytes packet = ip_of(captured::kLastFragmentV4);
  const auto view = parse_ip_packet(EtherType::kIpv4, packet);
  ASSERT_TRUE(view.has_value());
  ASSERT_TRUE(view->fragment.has_value());
  EXPECT_EQ(view->fragment->offset, 1480U);
  EXPECT_FALSE(view->fragment->more);
  EXPECT_EQ(view->payload.size(), 128U);
}

TEST(Ipv4, OptionsAreSkipped) {
  Bytes packet = from_hex("46000018 00000000 40060000 0a000001 0a000002 01010100");
  const std::uint16_t checksum = checksum_finish(checksum_add(0, packet));
  put16<10>(MutableBytes(packet).first<20>(), checksum);
  const auto view = parse_ip_packet(EtherType::kIpv4, packet);
  ASSERT_TRUE(view.has_value());
  EXPECT_TRUE(view->payload.empty());
  EXPECT_EQ(Ipv4View::parse(packet)->options().size(), 4U);
}

TEST(Ipv4, HostileLengths) {
  const auto error_with = [](std::size_t at, std::uint8_t value) {
    Bytes packet = ip_of(captured::kTcpSynV4);
    packet[at] = value;
    return Ipv4View::parse(packet).error();
  };
  EXPECT_EQ(error_with(0, 0x65), ParseError::kBadVersion);
  EXPECT_EQ(error_with(0, 0x44), ParseError::kBadLength);  // a header of 16 bytes
  EXPECT_EQ(error_with(0, 0x40), ParseError::kBadLength);
  EXPECT_EQ(error_with(3, 19), ParseError::kBadLength);  // total below the header
  EXPECT_EQ(error_with(3, 0), ParseError::kBadLength);
  EXPECT_EQ(error_with(2, 0xff), ParseError::kTruncated);
}

TEST(Ip, WrongHeaderChecksumIsRefused) {
  Bytes packet = ip_of(captured::kPingV4);
  EXPECT_TRUE(parse_ip_packet(EtherType::kIpv4, packet).has_value());
  packet[8] ^= 1;
  EXPECT_EQ(parse_ip_packet(EtherType::kIpv4, packet).error(), ParseError::kBadChecksum);
}

TEST(Ip, OtherEtherTypesAreUnsupported) {
  EXPECT_EQ(parse_ip_packet(EtherType::kArp, Bytes(40)).error(), ParseError::kUnsupported);
}

TEST(Ipv6, CapturedSynAck) {
  const Bytes packet = ip_of(captured::kTcpSynAckV6);
  const auto view = Ipv6View::parse(packet);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->source(), ip("fd09::1"));
  EXPECT_EQ(view->destination(), ip("fd09::15"));
  EXPECT_EQ(view->next_header(), IpProtocol::kTcp);
  EXPECT_EQ(view->hop_limit(), 64);
  EXPECT_EQ(view->payload().size(), 40U);
  EXPECT_FALSE(view->fragment().has_value());

  Bytes header(40);
  Ipv6Repr{.source = view->source(),
           .destination = view->destination(),
           .next_header = view->next_header(),
           .hop_limit = view->hop_limit(),
           .payload_length = 40,
           .traffic_class = view->traffic_class(),
           .flow_label = view->flow_label()}
      .emit(MutableBytes(header).first<40>());
  EXPECT_EQ(header, copy_of(ByteView(packet).first(40)));
}

TEST(Ipv6, EveryTruncation) {
  for (const std::string_view frame : {captured::kTcpSynAckV6, captured::kMulticastReport}) {
    for_each_truncation(ip_of(frame), [](ByteView cut) {
      EXPECT_EQ(Ipv6View::parse(cut).error(), ParseError::kTruncated);
    });
  }
}

TEST(Ipv6, HopByHopHeaderIsWalked) {
  const Bytes packet = ip_of(captured::kMulticastReport);
  const auto view = Ipv6View::parse(packet);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->next_header(), IpProtocol::kIcmpv6);
  EXPECT_EQ(view->payload()[0], 143);
}

TEST(Ipv6, LastFragment) {
  const Bytes packet = ip_of(captured::kLastFragmentV6);
  const auto view = parse_ip_packet(EtherType::kIpv6, packet);
  ASSERT_TRUE(view.has_value());
  ASSERT_TRUE(view->fragment.has_value());
  EXPECT_EQ(view->fragment->offset, 1448U);
  EXPECT_FALSE(view->fragment->more);
  EXPECT_EQ(view->protocol, IpProtocol::kUdp);
  EXPECT_EQ(view->payload.size(), 160U);
}

Bytes v6_packet(std::uint8_t next_header, const Bytes& payload) {
  Bytes header(40);
  Ipv6Repr{.source = ip("fd00::1"),
           .destination = ip("fd00::2"),
           .next_header = IpProtocol{next_header},
           .payload_length = static_cast<std::uint16_t>(payload.size())}
      .emit(MutableBytes(header).first<40>());
  return header + payload;
}

TEST(Ipv6, AtomicFragmentCountsAsWhole) {
  const Bytes packet = v6_packet(44, from_hex("3a00 0000 01020304") + Bytes(8, 0x11));
  const auto view = Ipv6View::parse(packet);
  ASSERT_TRUE(view.has_value());
  ASSERT_TRUE(view->fragment().has_value());
  EXPECT_EQ(view->fragment()->identification, 0x01020304U);
  EXPECT_EQ(view->next_header(), IpProtocol::kIcmpv6);
  EXPECT_FALSE(parse_ip_packet(EtherType::kIpv6, packet)->fragment.has_value());
}

// What follows the Fragment header of a first fragment is left for reassembly, extension headers
// included.
TEST(Ipv6, FragmentEndsTheWalk) {
  const Bytes packet = v6_packet(44, from_hex("3c00 0001 00000001 1100 0000 00000000"));
  const auto view = Ipv6View::parse(packet);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->next_header(), IpProtocol::kDestinationOptions);
  EXPECT_EQ(view->payload().size(), 8U);
  const auto rest = walk_extension_headers(view->next_header(), view->payload());
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest->protocol, IpProtocol::kUdp);
}

TEST(Ipv6, HostileChains) {
  Bytes endless;
  for (int i = 0; i < 9; ++i) endless = endless + from_hex("3c00 0000 00000000");
  EXPECT_EQ(Ipv6View::parse(v6_packet(60, endless)).error(), ParseError::kTooManyHeaders);
  EXPECT_EQ(Ipv6View::parse(v6_packet(60, from_hex("11ff 0000 00000000"))).error(),
            ParseError::kTruncated);
  EXPECT_EQ(Ipv6View::parse(v6_packet(0, {})).error(), ParseError::kTruncated);
  const Bytes twice = from_hex("2c00 0000 00000001 1100 0000 00000001");
  EXPECT_EQ(Ipv6View::parse(v6_packet(44, twice)).error(), ParseError::kMalformed);
}

TEST(Ipv6, MappedAddressesAreRefused) {
  Bytes packet = v6_packet(17, Bytes(8));
  const IpAddress loopback = IpAddress::v4(0x7f000001U);
  std::ranges::copy(loopback.octets(), packet.begin() + 24);
  EXPECT_EQ(Ipv6View::parse(packet).error(), ParseError::kBadAddress);
}

TEST(Ipv6, FragmentHeaderRoundTrip) {
  const Ipv6Fragment fragment{.offset = 1448, .more = true, .identification = 0xdeadbeef};
  Bytes bytes(kIpv6FragmentHeaderSize);
  emit_ipv6_fragment(MutableBytes(bytes).first<kIpv6FragmentHeaderSize>(), IpProtocol::kUdp,
                     fragment);
  const auto walked = walk_extension_headers(IpProtocol::kFragment, bytes);
  ASSERT_TRUE(walked.has_value());
  EXPECT_EQ(walked->fragment, fragment);
  EXPECT_EQ(walked->protocol, IpProtocol::kUdp);
}

}  // namespace
}  // namespace sluice::wire
