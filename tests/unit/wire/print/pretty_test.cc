#include "wire/print/pretty.h"

#include <gtest/gtest.h>

#include "unit/wire/captured_frames.h"
#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

std::string line_of(std::string_view frame) { return pretty_frame(from_hex(frame)); }

TEST(Pretty, CapturedFrames) {
  EXPECT_EQ(line_of(captured::kTcpSynV4),
            "10.9.0.15:51062 > 10.9.0.1:8080 tcp S seq 1310171502 win 64240 "
            "<mss 1460,sackOK,ts 112637438:0,ws 10> len 0");
  EXPECT_EQ(line_of(captured::kTcpSynAckV6),
            "[fd09::1]:8080 > [fd09::15]:34348 tcp S. seq 3483138645 ack 2921419444 win 64260 "
            "<mss 1440,sackOK,ts 4271279430:3505368786,ws 10> len 0");
  EXPECT_EQ(line_of(captured::kArpRequest),
            "arp who has 10.9.0.1 tell 10.9.0.15 (52:54:00:12:34:56)");
  EXPECT_EQ(line_of(captured::kArpReply), "arp 10.9.0.1 is at 52:54:00:12:34:01");
  EXPECT_EQ(line_of(captured::kPingV4),
            "10.9.0.15 > 10.9.0.1 icmp echo request id 18527 seq 1 len 16");
  EXPECT_EQ(line_of(captured::kPortUnreachableV4),
            "10.9.0.1 > 10.9.0.15 icmp unreachable code 3 about 10.9.0.15:52333 > 10.9.0.1:9 udp "
            "len 31");
  EXPECT_EQ(line_of(captured::kNeighborSolicitation),
            "fd09::15 > ff02::1:ff00:1 icmpv6 neighbor solicitation who has fd09::1 len 24");
  EXPECT_EQ(line_of(captured::kNeighborAdvertisement),
            "fd09::1 > fd09::15 icmpv6 neighbor advertisement fd09::1 is at 52:54:00:12:34:01 "
            "len 24");
  EXPECT_EQ(line_of(captured::kRouterAdvertisement),
            "fe80::5054:ff:fe12:3401 > ff02::1 icmpv6 router advertisement lifetime 1800s "
            "prefix fd09::/64 len 104");
  EXPECT_EQ(line_of(captured::kLastFragmentV4),
            "10.9.0.15 > 10.9.0.1 fragment id 5220 offset 1480 protocol 17 len 128");
}

TEST(Pretty, WhatUdpCarries) {
  EXPECT_EQ(line_of(captured::kDnsQuery),
            "10.9.0.15:39905 > 10.9.0.1:53 dns query id 39278 A www.example len 52");
  EXPECT_EQ(line_of(captured::kDnsReply),
            "10.9.0.1:53 > 10.9.0.15:39905 dns reply id 39278 A www.example rcode 0 answers 1 "
            "len 56");
  EXPECT_EQ(line_of(captured::kDhcpOffer),
            "10.9.0.1:67 > 255.255.255.255:68 dhcp offer xid 3903f326 mac 52:54:00:12:34:56 "
            "your 10.9.0.58 len 326");
  EXPECT_EQ(line_of(captured::kDhcpv6Solicit),
            "[fe80::5054:ff:fe12:3456]:546 > [ff02::1:2]:547 dhcpv6 solicit xid 123456 len 48");
}

TEST(Pretty, UnreadableFrames) {
  EXPECT_EQ(pretty_frame({}), "ethernet [truncated]");
  EXPECT_EQ(pretty_frame(Bytes(14) + Bytes(4)),
            "00:00:00:00:00:00 > 00:00:00:00:00:00 type 0x0000 len 4");
  EXPECT_EQ(pretty_frame(from_hex("000000000000 000000000000 0800 45")), "ipv4 [truncated]");
  EXPECT_EQ(pretty_frame(from_hex("000000000000 000000000000 86dd") + Bytes(40)),
            "ipv6 [bad version]");
  EXPECT_EQ(pretty_frame(from_hex("000000000000 000000000000 0806") + Bytes(28)),
            "arp [unsupported]");
  EXPECT_EQ(pretty_ip_packet({}), "ip [truncated]");
}

// Names from the network show as text, whatever bytes they hold.
TEST(Pretty, NamesCannotWriteToATerminal) {
  Bytes frame = from_hex(captured::kDnsQuery);
  frame[14 + 20 + 8 + 12 + 1] = 0x1b;
  EXPECT_NE(pretty_frame(frame).find("A \\027ww.example"), std::string::npos);
}

TEST(Pretty, EveryTruncationHasALine) {
  for (const std::string_view frame :
       {captured::kTcpSynV4, captured::kTcpSynAckV6, captured::kPortUnreachableV4,
        captured::kRouterAdvertisement, captured::kDhcpOffer, captured::kDhcpv6Advertise,
        captured::kDnsCname, captured::kMulticastReport, captured::kArpReply}) {
    for_each_truncation(from_hex(frame), [](ByteView cut) {
      EXPECT_NE(pretty_frame(cut).find("[truncated]"), std::string::npos);
    });
  }
}

}  // namespace
}  // namespace sluice::wire
