// Published ports of a guest that has taken another address than the one it was offered.
#include "flow/ip/guest_addresses.h"

#include "unit/flow/engine/engine_fixture.h"
#include "wire/ip/icmpv6.h"

namespace sluice::flow::test {
namespace {

const wire::IpAddress kMade = *wire::parse_ip("fd00::5054:ff:fe12:3456");
const wire::IpAddress kSet = *wire::parse_ip("10.0.2.99");

TEST(GuestAddresses, TheOfferedOneCountsOnceItWasSeen) {
  const GuestNetwork network;
  GuestAddresses addresses;
  EXPECT_EQ(addresses.taken(network, network.guest_v6), network.guest_v6);
  addresses.learn(network, kMade);
  EXPECT_FALSE(addresses.knows(wire::IpFamily::kV6));
  EXPECT_EQ(addresses.taken(network, network.guest_v6), kMade);
  EXPECT_EQ(addresses.meant(network, kMade), network.guest_v6);
  EXPECT_EQ(addresses.taken(network, network.guest_v4), network.guest_v4);
  addresses.learn(network, network.guest_v6);
  EXPECT_TRUE(addresses.knows(wire::IpFamily::kV6));
  EXPECT_EQ(addresses.taken(network, network.guest_v6), network.guest_v6);
  addresses.learn(network, kMade);
  EXPECT_EQ(addresses.taken(network, network.guest_v6), network.guest_v6);
}

TEST(GuestAddresses, OthersThanOfTheSubnetDoNotCount) {
  const GuestNetwork network;
  GuestAddresses addresses;
  for (const char* text : {"fe80::1", "2001:db8::1", "::"}) {
    addresses.learn(network, *wire::parse_ip(text));
  }
  addresses.learn(network, wire::IpAddress::v4(std::uint32_t{0}));
  EXPECT_EQ(addresses.taken(network, network.guest_v6), network.guest_v6);
  EXPECT_EQ(addresses.taken(network, network.guest_v4), network.guest_v4);
  const wire::IpAddress foreign = *wire::parse_ip("192.0.2.1");
  addresses.learn(network, kSet);
  EXPECT_EQ(addresses.taken(network, foreign), foreign);
}

class GuestAddressTest : public TcpFixture {
 protected:
  void speak_from(const wire::IpAddress& address) {
    const bool v4 = address.is_v4();
    feed(udp_frame(network(), {address, {4000}},
                   endpoint(v4 ? "198.51.100.7:9" : "[2001:db8::7]:9"), stream(0, 10)));
    clear();
  }
  // Where the SYN for a client of a published port goes.
  wire::IpAddress called(const wire::IpAddress& offered) {
    clear();
    const auto client = endpoint(offered.is_v4() ? "198.51.100.9:4000" : "[2001:db8::9]:4000");
    EXPECT_TRUE(tcp().on_inbound(client, {offered, {80}}, 64 * 1024, {now, sink}).has_value());
    collect();
    return take_frame().packet().destination;
  }
};

TEST_F(GuestAddressTest, APublishedPortLeadsToTheAddressThatTheGuestHas) {
  speak_from(kMade);
  EXPECT_EQ(called(network().guest_v6), kMade);
  EXPECT_EQ(called(network().guest_v4), network().guest_v4);
  speak_from(kSet);
  EXPECT_EQ(called(network().guest_v4), kSet);
}

TEST_F(GuestAddressTest, TheOfferedOneIsCalledOnceItSpeaks) {
  speak_from(kMade);
  speak_from(network().guest_v6);
  speak_from(kMade);
  EXPECT_EQ(called(network().guest_v6), network().guest_v6);
}

TEST_F(GuestAddressTest, DatagramsToAPublishedPortAndTheirAnswersDoTheSame) {
  speak_from(kMade);
  const UdpId port = engine().udp().publish({network().guest_v6, {53}});
  const auto client = endpoint("[2001:db8::9]:4000");
  const Bytes payload = stream(0, 12);
  engine().udp().on_received(port, client, std::nullopt, payload, 0, {now, sink});
  collect();
  const Received question = take_frame();
  EXPECT_EQ(question.packet().destination, kMade);
  clear();
  feed(udp_frame(network(), {kMade, {53}}, client, stream(5, 30)));
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].action.socket, port);
}

}  // namespace
}  // namespace sluice::flow::test
