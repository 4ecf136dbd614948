#include "flow/ip/fragmenter.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "flow/core/guest_network.h"
#include "flow/ip/fragment_reassembly.h"
#include "wire/ip/ip.h"

namespace sluice::flow {
namespace {

using wire::IpProtocol;

const GuestNetwork kNetwork;

struct Sample {
  std::vector<std::uint8_t> header;
  std::vector<std::uint8_t> payload;
  OutgoingDatagram datagram;

  Sample(bool ipv4, std::size_t payload_size) : header(8), payload(payload_size) {
    for (std::size_t i = 0; i < header.size(); ++i) header[i] = static_cast<std::uint8_t>(0xa0 + i);
    for (std::size_t i = 0; i < payload.size(); ++i)
      payload[i] = static_cast<std::uint8_t>(i % 253);
    datagram = {.guest_mac = kNetwork.guest_mac,
                .gateway_mac = kNetwork.gateway_mac,
                .source = ipv4 ? kNetwork.dns_v4 : kNetwork.dns_v6,
                .destination = ipv4 ? kNetwork.guest_v4 : kNetwork.guest_v6,
                .protocol = IpProtocol::kUdp,
                .hop_limit = 61,
                .traffic_class = 4,
                .identification = 0xabcd,
                .header = header,
                .payload = payload};
  }
  [[nodiscard]] std::vector<std::uint8_t> whole() const {
    std::vector<std::uint8_t> all = header;
    all.insert(all.end(), payload.begin(), payload.end());
    return all;
  }
};

TEST(Fragmenter, WhatFitsIsNoFragment) {
  for (const bool ipv4 : {true, false}) {
    const std::size_t room = 1500U - (ipv4 ? 20U : 40U) - 8U;
    const Sample sample(ipv4, room);
    Fragmenter fragments(sample.datagram, 1500);
    std::array<std::uint8_t, 1514> buffer;
    const std::size_t length = fragments.next(buffer);
    ASSERT_EQ(length, 1514u);
    const auto ethernet = wire::EthernetView::parse(ByteView(buffer).first(length)).value();
    EXPECT_EQ(ethernet.destination(), kNetwork.guest_mac);
    EXPECT_EQ(ethernet.source(), kNetwork.gateway_mac);
    const auto packet = wire::parse_ip_packet(ethernet.ether_type(), ethernet.payload()).value();
    EXPECT_FALSE(packet.fragment.has_value());
    EXPECT_EQ(packet.protocol, IpProtocol::kUdp);
    EXPECT_EQ(packet.hop_limit, 61);
    EXPECT_EQ(std::vector(packet.payload.begin(), packet.payload.end()), sample.whole());
    EXPECT_TRUE(fragments.done());
    EXPECT_EQ(fragments.next(buffer), 0u);
  }
}

TEST(Fragmenter, FragmentsReassembleToTheDatagram) {
  for (const bool ipv4 : {true, false}) {
    for (const std::size_t mtu : {68u, 576u, 1280u, 1500u, 9000u}) {
      for (const std::size_t size : {0u, 61u, 1452u, 1453u, 1473u, 4000u, 65'507u}) {
        const Sample sample(ipv4, size);
        Fragmenter fragments(sample.datagram, mtu);
        FragmentReassembly table;
        std::vector<std::uint8_t> buffer(14 + mtu);
        std::vector<std::uint8_t> received;
        while (const std::size_t length = fragments.next(buffer)) {
          ASSERT_LE(length, 14 + mtu);
          ASSERT_LE(length, fragments.frame_size_max());
          const auto ethernet = wire::EthernetView::parse(ByteView(buffer).first(length)).value();
          const auto packet =
              wire::parse_ip_packet(ethernet.ether_type(), ethernet.payload()).value();
          EXPECT_EQ(packet.traffic_class, 4);
          if (!packet.fragment) {
            received.assign(packet.payload.begin(), packet.payload.end());
            continue;
          }
          EXPECT_EQ(packet.fragment->identification, 0xabcdu);
          EXPECT_EQ(packet.payload.size() % 8 == 0 || !packet.fragment->more, true);
          auto result = table.add(fragment_of(packet), Instant{});
          if (result.datagram) {
            EXPECT_EQ(result.datagram->protocol, IpProtocol::kUdp);
            received = std::move(result.datagram->bytes);
          }
        }
        EXPECT_TRUE(fragments.done());
        EXPECT_EQ(received, sample.whole()) << "mtu " << mtu << " size " << size;
      }
    }
  }
}

TEST(Fragmenter, TooLargeForIpYieldsNothing) {
  const Sample sample(true, 65'508);
  Fragmenter fragments(sample.datagram, 1500);
  std::vector<std::uint8_t> buffer(70'000);
  EXPECT_EQ(fragments.next(buffer), 0u);
  EXPECT_EQ(fragments.frame_size_max(), 0u);
}

TEST(Fragmenter, SmallBufferIsLeftAloneAndMayBeRetried) {
  const Sample sample(true, 3000);
  Fragmenter fragments(sample.datagram, 1500);
  std::vector<std::uint8_t> small(100, 0x55);
  EXPECT_EQ(fragments.next(small), 0u);
  EXPECT_EQ(small, std::vector<std::uint8_t>(100, 0x55));
  EXPECT_FALSE(fragments.done());
  std::vector<std::uint8_t> buffer(1514);
  EXPECT_GT(fragments.next(buffer), 0u);
}

}  // namespace
}  // namespace sluice::flow
