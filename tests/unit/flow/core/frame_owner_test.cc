#include "flow/core/frame_owner.h"

#include <gtest/gtest.h>

#include <set>

#include "unit/flow/engine/guest_frames.h"

namespace sluice::flow {
namespace {

using test::Bytes;
using test::endpoint;
using test::ip;

constexpr HashSecret kSecret{0x1234'5678'9abc'def1, 0xfedc'ba98'7654'3211};

class FrameOwnerTest : public testing::Test {
 protected:
  [[nodiscard]] std::uint32_t of_tcp(const char* guest, const char* remote) const {
    return owner_.of_frame(test::tcp_frame(
        network_, {.guest = endpoint(guest), .remote = endpoint(remote), .flags = wire::kSyn}));
  }
  [[nodiscard]] std::uint32_t of_udp(const char* guest, const char* remote) const {
    return owner_.of_frame(test::udp_frame(network_, endpoint(guest), endpoint(remote), Bytes(10)));
  }

  GuestNetwork network_;
  FrameOwner owner_{network_, 8, kSecret};
};

TEST_F(FrameOwnerTest, OneWorkerHasAll) {
  const FrameOwner alone;
  EXPECT_EQ(alone.workers(), 1U);
  for (std::uint16_t port = 1; port < 200; ++port) {
    EXPECT_EQ(alone.of_udp(wire::Port{port}), 0U);
    EXPECT_EQ(alone.of_tcp(wire::Port{port}, endpoint("192.0.2.1:80")), 0U);
  }
}

TEST_F(FrameOwnerTest, AllWorkersGetTheirPart) {
  std::vector<int> tcp(8);
  std::vector<int> udp(8);
  for (std::uint16_t port = 10'000; port < 18'000; ++port) {
    ++tcp[owner_.of_tcp(wire::Port{port}, endpoint("192.0.2.1:80"))];
    ++udp[owner_.of_udp(wire::Port{port})];
  }
  for (std::size_t worker = 0; worker < 8; ++worker) {
    EXPECT_GT(tcp[worker], 800) << worker;
    EXPECT_GT(udp[worker], 800) << worker;
  }
}

TEST_F(FrameOwnerTest, AGuestWithoutTheSecretDoesNotChoose) {
  const FrameOwner other(network_, 8, {1, 2});
  int same = 0;
  for (std::uint16_t port = 0; port < 1000; ++port) {
    if (other.of_udp(wire::Port{port}) == owner_.of_udp(wire::Port{port})) ++same;
  }
  EXPECT_LT(same, 300);
}

TEST_F(FrameOwnerTest, AFrameGoesWhereItsFlowIs) {
  for (std::uint16_t port = 4000; port < 4100; ++port) {
    const wire::Endpoint guest{network_.guest_v4, wire::Port{port}};
    const wire::Endpoint remote = endpoint("192.0.2.1:443");
    EXPECT_EQ(owner_.of_frame(test::tcp_frame(network_, {.guest = guest, .remote = remote})),
              owner_.of_tcp(guest.port, remote));
    EXPECT_EQ(owner_.of_frame(test::udp_frame(network_, guest, remote, Bytes(3))),
              owner_.of_udp(guest.port));
  }
}

TEST_F(FrameOwnerTest, WhichAddressOfTheGuestsDoesNotMatter) {
  EXPECT_EQ(of_tcp("10.0.2.15:4000", "192.0.2.1:80"), of_tcp("10.0.2.77:4000", "192.0.2.1:80"));
  EXPECT_EQ(of_udp("10.0.2.15:4000", "192.0.2.1:80"), of_udp("10.0.2.77:4000", "192.0.2.9:81"));
}

TEST_F(FrameOwnerTest, OurDnsIsWithTheFirst) {
  std::set<std::uint32_t> elsewhere;
  for (int port = 5000; port < 5032; ++port) {
    const std::string guest = "10.0.2.15:" + std::to_string(port);
    EXPECT_EQ(of_tcp(guest.c_str(), "10.0.2.3:53"), 0U);
    EXPECT_EQ(of_udp(guest.c_str(), "10.0.2.3:53"), 0U);
    EXPECT_EQ(of_udp(("[fd00::15]:" + std::to_string(port)).c_str(), "[fd00::3]:53"), 0U);
    elsewhere.insert(of_udp(guest.c_str(), "10.0.2.3:54"));
    elsewhere.insert(of_tcp(guest.c_str(), "192.0.2.3:53"));
  }
  EXPECT_GT(elsewhere.size(), 2U);
}

TEST_F(FrameOwnerTest, WithoutDnsItsAddressIsLikeAnyOther) {
  network_.dns = false;
  const FrameOwner owner(network_, 8, kSecret);
  std::set<std::uint32_t> seen;
  for (std::uint16_t port = 0; port < 64; ++port) {
    seen.insert(owner.of_tcp(wire::Port{port}, {network_.dns_v4, wire::Port{53}}));
  }
  EXPECT_GT(seen.size(), 2U);
}

TEST_F(FrameOwnerTest, WhatIsOfNoFlowIsWithTheFirst) {
  EXPECT_EQ(owner_.of_frame({}), 0U);
  EXPECT_EQ(owner_.of_frame(Bytes(13)), 0U);
  EXPECT_EQ(owner_.of_frame(test::arp_request(network_, network_.gateway_v4)), 0U);
  for (int port = 1; port < 32; ++port) {
    const auto id = static_cast<std::uint16_t>(port);
    EXPECT_EQ(owner_.of_frame(test::ping_frame(network_, ip("192.0.2.1"), id, 1, Bytes(8))), 0U);
    const std::string guest = "10.0.2.15:" + std::to_string(port);
    EXPECT_EQ(of_udp(guest.c_str(), "255.255.255.255:67"), 0U);
    EXPECT_EQ(of_udp(guest.c_str(), "224.0.0.251:5353"), 0U);
  }
}

TEST_F(FrameOwnerTest, APacketThatWasPutTogetherGoesWhereItsFlowIs) {
  const Bytes frame =
      test::udp_frame(network_, endpoint("10.0.2.15:4000"), endpoint("192.0.2.1:80"), Bytes(64));
  const auto packet = wire::parse_ip_packet(ByteView(frame).subspan(14)).value();
  EXPECT_EQ(owner_.of_packet(packet), owner_.of_udp(wire::Port{4000}));
}

}  // namespace
}  // namespace sluice::flow
