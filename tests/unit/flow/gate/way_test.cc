// Flows that a rule leads by somebody else: when he is asked, for whom, and that nothing goes past
// him.
#include "flow/gate/way.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "unit/flow/judge/names_fixture.h"
#include "unit/wire/first_bytes/client_hellos.h"
#include "wire/transport/proxy_protocol.h"

namespace sluice::flow::test {
namespace {

using policy::EgressPolicy;
using policy::Verdict;
using wire::test::hello_to;

struct Led {
  std::string target;
  std::string via{};  // Empty: directly.
  std::optional<policy::SniUse> sni{};
};

class TcpWay : public NamesFixture {
 protected:
  TcpWay() {
    lead({{"ok.test:443", "connect:192.0.2.9:3128"},
          {"direct.test:443"},
          {"plain.test:80", "connect:192.0.2.9:3128"},
          {"other.test:80"},
          {"ssh.test:22", "proxy:192.0.2.9:9000"}});
  }
  static std::unique_ptr<EgressPolicy> made(const std::vector<Led>& rules) {
    policy::EgressDraft draft{.fallback = kDeny};
    for (const Led& led : rules) {
      policy::EgressRule rule{.id = led.target, .sni = led.sni};
      if (!led.via.empty()) {
        rule.via = policy::parse_via(led.via).value();
      }
      draft.rules.push_back({policy::parse_egress_target(led.target).value(), std::move(rule)});
    }
    return std::make_unique<EgressPolicy>(EgressPolicy::compile(std::move(draft)).value());
  }
  void lead(const std::vector<Led>& rules) {
    led_ = made(rules);
    restart({.egress = led_.get()});
    engine().set_resolvers({endpoint("192.0.2.53:53")});
  }
  void change_to(const std::vector<Led>& rules) {
    auto next = made(rules);
    engine().set_policy(*next, {now, sink});
    collect();
    led_ = std::move(next);
  }
  // Until the guest has its SYN-ACK, with no host asked.
  Connection answered(const std::string& address, std::uint16_t port) {
    clear();
    const wire::Endpoint guest{guest_address(), {port_++}};
    const wire::Endpoint remote{ip(address), {port}};
    feed(syn({.guest = guest, .remote = remote}));
    EXPECT_TRUE(all<ConnectTcp>().empty()) << "by whom is not known yet";
    Connection c;
    c.guest = guest;
    c.remote = remote;
    c.next = wire::SeqNum{1000};
    c.host_next = take_frame().tcp().sequence() + 1;
    feed(ack(c));
    c.id = flow(c)->id;
    clear();
    return c;
  }
  void say(Connection& c, const Bytes& bytes) {
    GuestSegment segment = ack(c);
    segment.payload = bytes;
    feed(segment);
    c.next += static_cast<std::uint32_t>(bytes.size());
  }
  void say(Connection& c, std::string_view text) { say(c, Bytes(text.begin(), text.end())); }
  static std::string get(const std::string& host) {
    return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
  }
  [[nodiscard]] std::string preface(const Connection& c) {
    const Way* const way = tcp().way_of(c.id);
    return way == nullptr ? "" : std::string(way->preface.begin(), way->preface.end());
  }
  void connected(const Connection& c) {
    tcp().on_connected(c.id, 64 * 1024, {now, sink});
    collect();
  }
  void failed(const Connection& c) {
    clear();
    tcp().on_connect_failed(c.id, HostError::kWayFailed, {now, sink});
    collect();
  }
  [[nodiscard]] std::string told_text() const {
    std::string all;
    for (const Received& frame : frames) {
      const ByteView payload = frame.tcp().payload();
      all.append(payload.begin(), payload.end());
    }
    return all;
  }

 private:
  std::unique_ptr<EgressPolicy> led_;
  std::uint16_t port_ = 30'000;
};

INSTANTIATE_TEST_SUITE_P(Families, TcpWay,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& family) {
                           return family.param == wire::IpFamily::kV4 ? "V4" : "V6";
                         });

TEST_P(TcpWay, TheNameThatWasJudgedIsWhatTheProxyIsAskedFor) {
  (void)resolve("ok.test", {at(1)});
  Connection c = answered(at(1), 443);
  say(c, hello_to("ok.test"));
  ASSERT_EQ(all<ConnectTcp>().size(), 1u);
  EXPECT_TRUE(all<ConnectTcp>()[0].by_way);
  EXPECT_TRUE(writes.empty()) << "nothing before he has said yes";
  EXPECT_EQ(preface(c), "CONNECT ok.test:443 HTTP/1.1\r\nHost: ok.test:443\r\n\r\n");
  connected(c);
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].bytes, hello_to("ok.test"));
}

TEST_P(TcpWay, ANeighbourOnTheSameAddressGoesItsOwnWay) {
  (void)resolve("ok.test", {at(1)});
  (void)resolve("direct.test", {at(1)});
  Connection led = answered(at(1), 443);
  say(led, hello_to("ok.test"));
  EXPECT_TRUE(all<ConnectTcp>().at(0).by_way);
  Connection direct = answered(at(1), 443);
  say(direct, hello_to("direct.test"));
  ASSERT_EQ(all<ConnectTcp>().size(), 1u);
  EXPECT_FALSE(all<ConnectTcp>()[0].by_way);
  EXPECT_EQ(all<ConnectTcp>()[0].target, direct.remote);
  connected(direct);
  EXPECT_EQ(writes.size(), 1u);
}

TEST_P(TcpWay, ANameThatIsRefusedAsksNobody) {
  (void)resolve("ok.test", {at(1)});
  Connection c = answered(at(1), 443);
  say(c, hello_to("evil.test"));
  EXPECT_TRUE(all<ConnectTcp>().empty());
  EXPECT_EQ(told(), Verdict::kServerNameMismatch);
}

TEST_P(TcpWay, WhoCannotBeReachedEndsTheFlowAndNothingGoesPastHim) {
  (void)resolve("ok.test", {at(1)});
  Connection c = answered(at(1), 443);
  say(c, hello_to("ok.test"));
  failed(c);
  EXPECT_TRUE(all<ConnectTcp>().empty());
  EXPECT_TRUE(writes.empty());
  EXPECT_EQ(told(), Verdict::kViaFailed);
  EXPECT_TRUE(frames.back().tcp().flags().rst());
  EXPECT_EQ(drops(DropReason::kViaFailed), 1u);
}

TEST_P(TcpWay, PlainHttpIsToldByAPage) {
  (void)resolve("plain.test", {at(2)});
  Connection c = answered(at(2), 80);
  say(c, get("plain.test"));
  EXPECT_EQ(preface(c), "CONNECT plain.test:80 HTTP/1.1\r\nHost: plain.test:80\r\n\r\n");
  failed(c);
  EXPECT_TRUE(told_text().starts_with("HTTP/1.1 502 Bad Gateway\r\n")) << told_text();
  EXPECT_NE(told_text().find("why:  via-failed\n"), std::string::npos);
  EXPECT_EQ(told(), Verdict::kViaFailed);
}

TEST_P(TcpWay, ARequestForAnotherNameDoesNotFollowOnTheSameConnection) {
  (void)resolve("plain.test", {at(2)});
  (void)resolve("other.test", {at(2)});
  Connection c = answered(at(2), 80);
  say(c, get("plain.test"));
  connected(c);
  ASSERT_EQ(writes.size(), 1u);
  host_takes(c, writes[0].bytes.size());
  clear();
  say(c, get("other.test"));
  EXPECT_TRUE(writes.empty());
  EXPECT_EQ(told(), Verdict::kHostMismatch);
}

TEST_P(TcpWay, WhereTheServerSpeaksFirstTheNameIsThatOfTheAddress) {
  (void)resolve("ssh.test", {at(3)});
  EXPECT_EQ(tcp_to(at(3), 22), Verdict::kAccepted);
  ASSERT_EQ(all<ConnectTcp>().size(), 1u);
  EXPECT_TRUE(all<ConnectTcp>()[0].by_way);
  const Way* const way = tcp().way_of(all<ConnectTcp>()[0].flow);
  ASSERT_NE(way, nullptr);
  const auto header = wire::parse_proxy_header(way->preface);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->size, way->preface.size());
  EXPECT_EQ(header->header.version, wire::ProxyVersion::kV2);
  EXPECT_EQ(header->header.source.address, guest_address());
  EXPECT_EQ(header->header.destination, (wire::Endpoint{ip(at(3)), {22}}));
  ASSERT_EQ(header->tlvs.size(), 3u + 8u);
  EXPECT_EQ(header->tlvs[0], wire::kProxyTlvAuthority);
  EXPECT_EQ(header->tlvs[2], 8);
  EXPECT_EQ(std::string(header->tlvs.begin() + 3, header->tlvs.end()), "ssh.test");
}

TEST_P(TcpWay, ANameThatIsNotClearIsNobodysToConnectTo) {
  lead({{"*.test:22", "proxy:192.0.2.9:9000"}});
  (void)resolve("a.test", {at(3)});
  (void)resolve("b.test", {at(3)});
  EXPECT_EQ(tcp_to(at(3), 22), Verdict::kViaFailed);
  EXPECT_TRUE(frames.back().tcp().flags().rst());
}

TEST_P(TcpWay, AnAddressIsLedAsAnAddress) {
  lead({{v4() ? "203.0.113.0/24:22" : "[2001:db8::]/64:22", "connect:192.0.2.9:3128"}});
  EXPECT_EQ(tcp_to(at(3), 22), Verdict::kAccepted);
  const Way* const way = tcp().way_of(all<ConnectTcp>().at(0).flow);
  ASSERT_NE(way, nullptr);
  const std::string text(way->preface.begin(), way->preface.end());
  EXPECT_TRUE(text.starts_with(v4() ? "CONNECT 203.0.113.3:22 " : "CONNECT [2001:db8::3]:22 "));
}

TEST_P(TcpWay, NothingButTcpIsLetThroughByIt) {
  lead({{v4() ? "203.0.113.0/24" : "[2001:db8::]/64", "connect:192.0.2.9:3128"}});
  EXPECT_EQ(udp_to(at(3), 22), Verdict::kViaFailed);
  EXPECT_EQ(ping_to(at(3)), Verdict::kViaFailed);
}

TEST_P(TcpWay, AChangeOfTheWayEndsTheFlow) {
  (void)resolve("ssh.test", {at(3)});
  ASSERT_EQ(tcp_to(at(3), 22), Verdict::kAccepted);
  change_to({{"ssh.test:22", "proxy:192.0.2.9:9000"}, {"ok.test:443"}});
  EXPECT_NE(last_flow(), nullptr) << "the same as before";
  clear();
  change_to({{"ssh.test:22", "proxy:192.0.2.10:9000"}});
  EXPECT_EQ(told(), Verdict::kRevoked);
}

}  // namespace
}  // namespace sluice::flow::test
