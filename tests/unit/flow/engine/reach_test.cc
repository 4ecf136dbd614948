// What the guest may not reach, whatever the protocol that it tries.
#include "flow/engine/engine.h"
#include "unit/dns/dns_messages.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {

using namespace dns::test;

namespace {

class ReachTest : public TcpFixture {
 protected:
  void with(std::initializer_list<std::string_view> deny,
            std::initializer_list<std::string_view> allow,
            policy::HostAddresses host = policy::HostAddresses::kRefused) {
    const auto rules = [](std::initializer_list<std::string_view> texts) {
      std::vector<policy::Rule> list;
      for (const std::string_view text : texts) list.push_back(policy::parse_rule(text).value());
      return list;
    };
    restart({.policy = policy::Policy(rules(deny), rules(allow)), .host_addresses = host});
    engine().set_host_addresses({ip("192.0.2.7"), ip("2001:db8::7")});
  }

  // The verdict of a TCP connection, a datagram and an echo to `remote`, which must agree.
  policy::Verdict verdict(const std::string& address) {
    const bool v4 = address.find(':') == std::string::npos;
    const wire::Endpoint remote{ip(address), wire::Port{80}};
    const wire::Endpoint guest{v4 ? network().guest_v4 : network().guest_v6, wire::Port{next_++}};
    clear();
    feed(syn({.guest = guest, .remote = remote}));
    const policy::Verdict tcp_verdict = told<ConnectTcp>();
    clear();
    feed(udp_frame(network(), guest, remote, stream(0, 8)));
    EXPECT_EQ(told<SendUdp>(), tcp_verdict) << "UDP to " << address;
    clear();
    feed(v4 ? ping_frame(network(), remote.address, next_++, 1, {}) : ping6_frame(remote.address));
    EXPECT_EQ(told<SendPing>(), tcp_verdict) << "echo to " << address;
    return tcp_verdict;
  }

 private:
  template <typename Passed>
  policy::Verdict told() {
    if (!all<Passed>().empty()) return policy::Verdict::kAccepted;
    const auto reports = all<ReportFlow>();
    EXPECT_EQ(reports.size(), 1u);
    return reports.empty() ? policy::Verdict::kAccepted : reports[0].summary.verdict;
  }
  Bytes ping6_frame(const wire::IpAddress& target) {
    Bytes echo{
        128, 0, 0, 0, static_cast<std::uint8_t>(next_ >> 8), static_cast<std::uint8_t>(next_),
        0,   1};
    ++next_;
    const std::uint32_t sum =
        wire::pseudo_header_sum(network().guest_v6, target, wire::IpProtocol::kIcmpv6, 8);
    const std::uint16_t checksum = wire::checksum_finish(wire::checksum_add(sum, echo));
    put16<2>(MutableBytes(echo).first<8>(), checksum);
    return ip_frame(network(), network().guest_v6, target, wire::IpProtocol::kIcmpv6, echo);
  }
  std::uint16_t next_ = 20'000;
};

TEST_F(ReachTest, ClothesDoNotHideAnAddress) {
  with({"10.0.0.0/8"}, {});
  EXPECT_EQ(verdict("64:ff9b::10.0.0.1"), policy::Verdict::kDeniedByPolicy);
  EXPECT_EQ(verdict("2002:a00:1::1"), policy::Verdict::kDeniedByPolicy);
  EXPECT_EQ(verdict("64:ff9b::169.254.169.254"), policy::Verdict::kDeniedByPolicy);
  EXPECT_EQ(verdict("64:ff9b::127.0.0.1"), policy::Verdict::kNotRoutable);
  EXPECT_EQ(verdict("64:ff9b::198.51.100.1"), policy::Verdict::kAccepted);
  EXPECT_EQ(verdict("fd00:ec2::254"), policy::Verdict::kDeniedByPolicy);
}

TEST_F(ReachTest, TheHostsOwnAddressesAreRefusedAndCounted) {
  with({}, {});
  EXPECT_EQ(verdict("192.0.2.7"), policy::Verdict::kHostAddress);
  EXPECT_EQ(verdict("2001:db8::7"), policy::Verdict::kHostAddress);
  EXPECT_EQ(verdict("64:ff9b::192.0.2.7"), policy::Verdict::kHostAddress);
  EXPECT_EQ(drops(DropReason::kHostAddress), 9u);
  engine().set_host_addresses({ip("192.0.2.9")});
  EXPECT_EQ(verdict("192.0.2.7"), policy::Verdict::kAccepted);
  EXPECT_EQ(verdict("192.0.2.9"), policy::Verdict::kHostAddress);
  with({}, {"192.0.2.7"});
  EXPECT_EQ(verdict("192.0.2.7"), policy::Verdict::kAccepted);
  with({}, {}, policy::HostAddresses::kOpen);
  EXPECT_EQ(verdict("2001:db8::7"), policy::Verdict::kAccepted);
}

TEST_F(ReachTest, AnAnswerForIpv4OnlyArpaTellsTheTranslator) {
  with({"10.0.0.0/8"}, {});
  EXPECT_EQ(verdict("2001:db8:64::10.0.0.1"), policy::Verdict::kAccepted);
  engine().set_resolvers({endpoint("198.51.100.53:53")});
  clear();
  const wire::Endpoint client{network().guest_v6, wire::Port{5353}};
  feed(udp_frame(network(), client, {network().dns_v6, wire::Port{53}},
                 make_query("IPv4Only.arpa", {.type = wire::DnsType::kAaaa})));
  ASSERT_EQ(engine().dns_actions().size(), 1u);
  const auto asked = std::get<dns::OpenDnsUdp>(engine().dns_actions()[0]);
  engine().on_dns_answer(asked.slot, Engine::DnsTransport::kUdp,
                         make_answer(asked.message, {.records = {{"2001:db8:64::192.0.0.170"}}}),
                         {now, sink});
  collect();
  EXPECT_EQ(verdict("2001:db8:64::10.0.0.1"), policy::Verdict::kDeniedByPolicy);
  EXPECT_EQ(verdict("2001:db8:65::10.0.0.1"), policy::Verdict::kAccepted);
}

}  // namespace
}  // namespace sluice::flow::test
