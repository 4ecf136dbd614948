// Datagrams, and echo requests, to addresses that stand for names.
#include "unit/flow/judge/synthetic_fixture.h"

namespace sluice::flow::test {
namespace {

class UdpDialTest : public SyntheticFixture {};

TEST_P(UdpDialTest, OneFamilyMayLeadToTheOther) {
  zone["ok.test"] = v4() ? Zone{{}, {{"2001:db8::9"}}} : Zone{{{"203.0.113.9"}}, {}};
  with(kDeny, {{kAllow, "ok.test:443,9/udp"}, {kAllow, "ok.test:443"}, {kAllow, "ok.test/icmp"}},
       kSynthetic);
  const wire::IpAddress other = ip(v4() ? "2001:db8::9" : "203.0.113.9");
  const std::string address = stand_in("ok.test");
  const auto targets = dial(address, 443);
  ASSERT_EQ(targets.size(), 1u);
  EXPECT_EQ(targets[0].address, other);

  (void)udp_to(address, 9);
  settle();
  resolver_answers();
  ASSERT_EQ(datagrams.size(), 1u);
  EXPECT_EQ(datagrams[0].action.target, (wire::Endpoint{other, {9}}));
  const auto opened = all<OpenUdp>();
  ASSERT_EQ(opened.size(), 1u);
  EXPECT_EQ(opened[0].family, other.family());
  clear();
  const Bytes answer = stream(0, 5);
  engine().udp().on_received(opened[0].socket, {other, {9}}, {}, answer, 0, {now, sink});
  collect();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].packet().source, ip(address)) << "the answer comes from where it asked";

  (void)ping_to(address);
  settle();
  resolver_answers();
  ASSERT_EQ(pings.size(), 1u);
  EXPECT_EQ(pings[0].action.target, other);
  EXPECT_EQ(pings[0].bytes[0], v4() ? 128 : 8) << "a request of the other family";
  const PingId socket = pings[0].action.socket;
  Bytes back = pings[0].bytes;
  back[0] = v4() ? 129 : 0;
  clear();
  engine().ping().on_reply(socket, other, back, {now, sink});
  collect();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].packet().source, ip(address));
  EXPECT_EQ(frames[0].packet().payload[0], v4() ? 0 : 129);
}

TEST_P(UdpDialTest, DatagramsWaitInTheirOrder) {
  with(kDeny, {{kAllow, "ok.test:9/udp"}}, kSynthetic);
  const std::string address = stand_in("ok.test");
  clear();
  for (std::size_t size = 1; size <= 10; ++size) {
    frame(udp_frame(network(), {guest_address(), {4000}}, {ip(address), {9}}, stream(0, size)));
  }
  end_burst();
  settle();
  EXPECT_TRUE(datagrams.empty());
  EXPECT_EQ(drops(DropReason::kUdpHeldFull), 2u);
  resolver_answers();
  ASSERT_EQ(datagrams.size(), 8u);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(datagrams[i].bytes.size(), i + 1);
  const UdpId socket = datagrams[0].action.socket;
  clear();
  const Bytes answer = stream(0, 5);
  engine().udp().on_received(socket, real(66, 9), {}, answer, 0, {now, sink});
  collect();
  EXPECT_TRUE(frames.empty()) << "nobody else may answer";
  engine().on_udp_error(socket, real(1, 9),
                        {.kind = IcmpErrorKind::kPortUnreachable, .from = ip(at(1))}, {},
                        {now, sink});
  collect();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].packet().source, ip(address)) << "nor is the real address seen";
}

TEST_P(UdpDialTest, TwoNamesMayLeadToOneAddress) {
  zone["b.test"] = zone["ok.test"];
  with(kDeny, {{kAllow, "ok.test:9/udp"}, {kAllow, "b.test:9/udp"}}, kSynthetic);
  const std::string first = stand_in("ok.test");
  const std::string second = stand_in("b.test");
  clear();
  for (const std::string& address : {first, second}) {
    feed(udp_frame(network(), {guest_address(), {4000}}, {ip(address), {9}}, stream(0, 3)));
    settle();
  }
  resolver_answers();
  ASSERT_EQ(datagrams.size(), 2u);
  EXPECT_NE(datagrams[0].action.socket, datagrams[1].action.socket);
  clear();
  const auto sockets = engine().udp().socket_count();
  EXPECT_EQ(sockets, 2u);
  pass(10min);
  EXPECT_EQ(engine().udp().socket_count(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Families, UdpDialTest,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& one) {
                           return one.param == wire::IpFamily::kV4 ? "v4" : "v6";
                         });

}  // namespace
}  // namespace sluice::flow::test
