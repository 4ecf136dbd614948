#include "wire/ip/flow_tuple.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/wire/captured_frames.h"
#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

std::optional<FlowTuple> flow_of_hex(std::string_view frame) {
  return flow_of_frame(from_hex(frame));
}

TEST(FlowTuple, OfTcpInBothFamilies) {
  const FlowTuple v4{
      IpProtocol::kTcp, {ip("10.9.0.15"), Port{51062}}, {ip("10.9.0.1"), Port{8080}}};
  EXPECT_EQ(flow_of_hex(captured::kTcpSynV4), v4);
  EXPECT_EQ(flow_of_hex(captured::kTcpDataV4), v4);
  const auto v6 = flow_of_hex(captured::kTcpSynAckV6);
  ASSERT_TRUE(v6.has_value());
  EXPECT_EQ(v6->protocol, IpProtocol::kTcp);
  EXPECT_EQ(v6->source, (Endpoint{ip("fd09::1"), Port{8080}}));
  EXPECT_EQ(v6->destination.address, ip("fd09::15"));
}

TEST(FlowTuple, HeadersAreEnough) {
  // Ethernet, IPv4 and the ports, of a frame whose total length promises more.
  Bytes head = from_hex(captured::kTcpDataV4);
  head.resize(14 + 20 + 4);
  EXPECT_EQ(flow_of_frame(head), flow_of_hex(captured::kTcpDataV4));
}

TEST(FlowTuple, AnErrorIsOfTheFlowThatItIsAbout) {
  // 10.9.0.15 had sent from port 52333 to port 9 of 10.9.0.1, which answers by the error.
  EXPECT_EQ(
      flow_of_hex(captured::kPortUnreachableV4),
      (FlowTuple{IpProtocol::kUdp, {ip("10.9.0.1"), Port{9}}, {ip("10.9.0.15"), Port{52333}}}));
}

TEST(FlowTuple, NothingWithoutPorts) {
  for (const std::string_view frame :
       {captured::kArpRequest, captured::kPingV4, captured::kPingReplyV6,
        captured::kNeighborSolicitation, captured::kMulticastReport, captured::kLastFragmentV4,
        captured::kLastFragmentV6}) {
    EXPECT_EQ(flow_of_hex(frame), std::nullopt) << frame;
  }
}

TEST(FlowTuple, TheFirstFragmentHasNoFlowEither) {
  Bytes frame = from_hex(captured::kTcpSynV4);
  frame[14 + 6] |= 0x20;  // More fragments follow.
  EXPECT_EQ(flow_of_frame(frame), std::nullopt);
}

TEST(FlowTuple, BehindExtensionHeaders) {
  const Bytes plain = from_hex(captured::kTcpSynAckV6);
  Bytes frame = plain;
  // Destination options of eight bytes: one option of padding.
  const Bytes options{plain[14 + 6], 0, 1, 4, 0, 0, 0, 0};
  frame[14 + 6] = static_cast<std::uint8_t>(IpProtocol::kDestinationOptions);
  frame.insert(frame.begin() + 14 + 40, options.begin(), options.end());
  EXPECT_EQ(flow_of_frame(frame), flow_of_frame(plain));
}

TEST(FlowTuple, EveryTruncation) {
  for (const std::string_view frame : {captured::kTcpSynV4, captured::kTcpSynAckV6,
                                       captured::kPortUnreachableV4, captured::kLastFragmentV6}) {
    const auto whole = flow_of_hex(frame);
    for_each_truncation(from_hex(frame), [&](ByteView cut) {
      const auto flow = flow_of_frame(cut);
      EXPECT_TRUE(!flow || flow == whole);
    });
  }
}

TEST(FlowTuple, OfAPacketAsOfItsFrame) {
  for (const std::string_view frame :
       {captured::kTcpSynV4, captured::kTcpSynAckV6, captured::kPortUnreachableV4,
        captured::kPingV4, captured::kLastFragmentV4}) {
    const Bytes bytes = from_hex(frame);
    const auto packet = parse_ip_packet(ByteView(bytes).subspan(14));
    ASSERT_TRUE(packet.has_value()) << frame;
    EXPECT_EQ(flow_of_packet(*packet), flow_of_frame(bytes)) << frame;
  }
}

TEST(FlowTuple, TheHashTellsDirectionsApartAndTakesASecret) {
  const FlowTuple flow = flow_of_hex(captured::kTcpSynV4).value();
  EXPECT_NE(flow.hash({}), flow.reversed().hash({}));
  EXPECT_EQ(flow.hash({}), flow.reversed().reversed().hash({}));
  EXPECT_NE(flow.hash({}), flow.hash({1, 2}));
}

}  // namespace
}  // namespace sluice::wire
