// ICMP, ICMPv6 and the packets that their errors quote.
#include "wire/ip/icmp.h"

#include <gtest/gtest.h>

#include "unit/wire/captured_frames.h"
#include "unit/wire/wire_testing.h"
#include "wire/ip/icmpv6.h"
#include "wire/ip/quoted_packet.h"

namespace sluice::wire {
namespace {

Bytes v4_payload(std::string_view frame) { return cut_front(from_hex(frame), 14 + 20); }
Bytes v6_payload(std::string_view frame) { return cut_front(from_hex(frame), 14 + 40); }

TEST(Icmp, CapturedPing) {
  const Bytes message = v4_payload(captured::kPingV4);
  const auto view = IcmpView::parse(message);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->type(), IcmpType::kEchoRequest);
  EXPECT_EQ(view->identifier(), 18527);
  EXPECT_EQ(view->sequence_number(), 1);
  EXPECT_EQ(view->payload().size(), 16U);
  EXPECT_TRUE(view->checksum_ok());
  EXPECT_FALSE(view->is_error());

  Bytes again(8);
  IcmpRepr::echo(IcmpType::kEchoRequest, 18527, 1)
      .emit(MutableBytes(again).first<8>(), view->payload());
  EXPECT_EQ(again, copy_of(ByteView(message).first(8)));
}

TEST(Icmp, CapturedPortUnreachable) {
  const Bytes message = v4_payload(captured::kPortUnreachableV4);
  const auto view = IcmpView::parse(message);
  ASSERT_TRUE(view.has_value());
  EXPECT_TRUE(view->is_error());
  EXPECT_TRUE(view->checksum_ok());
  EXPECT_EQ(view->code(), static_cast<std::uint8_t>(IcmpUnreachable::kPort));
  const auto quoted = parse_quoted_ipv4(view->payload());
  ASSERT_TRUE(quoted.has_value());
  EXPECT_EQ(quoted->source, ip("10.9.0.15"));
  EXPECT_EQ(quoted->destination, ip("10.9.0.1"));
  EXPECT_EQ(quoted->protocol, IpProtocol::kUdp);
  EXPECT_EQ(quoted->source_port(), Port{52333});
  EXPECT_EQ(quoted->destination_port(), Port{9});

  Bytes again(8);
  IcmpRepr::unreachable(IcmpUnreachable::kPort)
      .emit(MutableBytes(again).first<8>(), view->payload());
  EXPECT_EQ(again, copy_of(ByteView(message).first(8)));
}

TEST(Icmp, EveryTruncation) {
  for_each_truncation(v4_payload(captured::kPortUnreachableV4), [](ByteView cut) {
    const auto view = IcmpView::parse(cut);
    EXPECT_EQ(view.has_value(), cut.size() >= 8);
    if (!view) return;
    EXPECT_EQ(parse_quoted_ipv4(view->payload()).has_value(), cut.size() >= 8 + 28);
  });
}

TEST(Icmp, NextHopMtu) {
  Bytes message(8);
  IcmpRepr::unreachable(IcmpUnreachable::kFragmentationNeeded, 1400)
      .emit(MutableBytes(message).first<8>(), {});
  EXPECT_EQ(IcmpView::parse(message)->next_hop_mtu(), 1400);
  EXPECT_TRUE(IcmpView::parse(message)->checksum_ok());
}

TEST(QuotedPacket, HostileQuotes) {
  Bytes quote = cut_front(from_hex(captured::kDnsQuery), 14);
  EXPECT_TRUE(parse_quoted_ipv4(quote).has_value());
  quote[7] = 1;  // a later fragment has no ports
  EXPECT_EQ(parse_quoted_ipv4(quote).error(), ParseError::kUnsupported);
  quote[0] = 0x4f;
  quote.resize(60);
  EXPECT_EQ(parse_quoted_ipv4(quote).error(), ParseError::kTruncated);
  quote[0] = 0x41;
  EXPECT_EQ(parse_quoted_ipv4(quote).error(), ParseError::kBadLength);
  quote[0] = 0x65;
  EXPECT_EQ(parse_quoted_ipv4(quote).error(), ParseError::kBadVersion);
}

TEST(Icmpv6, CapturedPingReply) {
  const Bytes message = v6_payload(captured::kPingReplyV6);
  const auto view = Icmpv6View::parse(message);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->type(), Icmpv6Type::kEchoReply);
  EXPECT_EQ(view->identifier(), 18528);
  EXPECT_EQ(view->sequence_number(), 1);
  EXPECT_TRUE(view->checksum_ok(ip("fd09::1"), ip("fd09::15")));
  EXPECT_FALSE(view->checksum_ok(ip("fd09::1"), ip("fd09::16")));
  EXPECT_FALSE(view->is_error());

  Bytes again(8);
  Icmpv6Repr::echo(Icmpv6Type::kEchoReply, 18528, 1)
      .emit(MutableBytes(again).first<8>(), view->payload(), ip("fd09::1"), ip("fd09::15"));
  EXPECT_EQ(again, copy_of(ByteView(message).first(8)));
}

TEST(Icmpv6, EveryTruncationOfTheHeader) {
  for_each_truncation(Bytes(8), [](ByteView cut) {
    EXPECT_EQ(Icmpv6View::parse(cut).error(), ParseError::kTruncated);
  });
}

TEST(Icmpv6, ErrorsQuoteThePacket) {
  // The SYN-ACK, cut to its IP header and 8 bytes.
  const Bytes packet = cut_front(from_hex(captured::kTcpSynAckV6), 14);
  const Bytes quote = copy_of(ByteView(packet).first(48));
  for (const Icmpv6Repr& repr : {Icmpv6Repr::packet_too_big(1280), Icmpv6Repr::hop_limit_exceeded(),
                                 Icmpv6Repr::unreachable(Icmpv6Unreachable::kProhibited)}) {
    Bytes message = Bytes(8) + quote;
    repr.emit(MutableBytes(message).first<8>(), quote, ip("fd00::2"), ip("fd09::1"));
    const auto view = Icmpv6View::parse(message);
    ASSERT_TRUE(view.has_value());
    EXPECT_TRUE(view->is_error());
    EXPECT_TRUE(view->checksum_ok(ip("fd00::2"), ip("fd09::1")));
    EXPECT_EQ(Icmpv6Repr::from(*view), repr);
    const auto quoted = parse_quoted_ipv6(view->payload());
    ASSERT_TRUE(quoted.has_value());
    EXPECT_EQ(quoted->source, ip("fd09::1"));
    EXPECT_EQ(quoted->protocol, IpProtocol::kTcp);
    EXPECT_EQ(quoted->source_port(), Port{8080});
  }
  for_each_truncation(quote, [](ByteView cut) {
    EXPECT_EQ(parse_quoted_ipv6(cut).error(), ParseError::kTruncated);
  });
}

}  // namespace
}  // namespace sluice::wire
