// A policy that is tried out: what it refuses goes through, and says so.
#include "flow/judge/audit.h"

#include "unit/flow/judge/names_fixture.h"

namespace sluice::flow::test {
namespace {

class AuditTest : public NamesFixture {
 protected:
  AuditTest() {
    restart({.egress = &tried_, .audit = true});
    engine().set_resolvers({endpoint("192.0.2.53:53")});
  }
  [[nodiscard]] Verdict would() { return last_flow()->by.would_refuse; }

  class NoQueries final : public dns::QueryJudge {
   public:
    std::optional<dns::LocalAnswer> judge_query(const wire::DnsQuestion&, Instant) override {
      return std::nullopt;
    }
    dns::JudgedAnswer judge_answer(const wire::DnsView&, Instant) override { return {}; }
  };
  NoQueries queries_;
  dns::NameBookOf<dns::NoLock> book_{SipKey{}};
  policy::EgressPolicy tried_ = make_policy(kDeny, {{kAllow, "ok.test:443"}, {kDeny, "evil.test"}});
};

TEST_P(AuditTest, AFlowThatWouldBeRefusedGoesThroughAndSaysWhy) {
  EXPECT_EQ(tcp_to(at(66), 22), Verdict::kAccepted);
  EXPECT_EQ(would(), Verdict::kAddressUnlisted);
  (void)resolve("evil.test", {at(2)});
  EXPECT_EQ(tcp_to(at(2), 22), Verdict::kAccepted);
  EXPECT_EQ(would(), Verdict::kNameDenied);
  EXPECT_EQ(last_flow()->by.rule.value, 1u);
  EXPECT_EQ(udp_to(at(66), 9), Verdict::kAccepted);
  EXPECT_EQ(ping_to(at(66)), Verdict::kAccepted);
}

TEST_P(AuditTest, WhatIsAllowedSaysNothing) {
  (void)resolve("ok.test", {at(1)});
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
  EXPECT_EQ(would(), Verdict::kAccepted);
  EXPECT_TRUE(gated());
}

TEST_P(AuditTest, QuestionsLeaveAndAreNoted) {
  EXPECT_TRUE(ask("unlisted.test"));
  ASSERT_EQ(engine().refused_queries().size(), 1u);
  EXPECT_EQ(engine().refused_queries()[0].verdict, Verdict::kNameUnlisted);
}

TEST_P(AuditTest, TheFloorStays) {
  engine().set_host_addresses({ip(at(7))});
  EXPECT_EQ(tcp_to(at(7), 80), Verdict::kHostAddress);
  EXPECT_EQ(tcp_to(v4() ? "169.254.169.254" : "fd00:ec2::254", 80), Verdict::kDeniedByPolicy);
  EXPECT_EQ(tcp_to(at(1), 853), Verdict::kDeniedByPolicy) << "a resolver that is not ours";
}

TEST_P(AuditTest, FirstBytesGoOnUnderTheNameThatTheySay) {
  (void)resolve("evil.test", {at(2)});
  Audit audit({.flows = engine().judge(), .claims = engine().judge(), .queries = queries_}, book_);
  const FlowKey key{{guest_address(), {1}}, {ip(at(2)), {443}}, wire::IpProtocol::kTcp};
  const Judged judged = audit.judge_claim(
      key, {}, {.kind = Kind::kTls, .name = wire::DomainName::from_text("evil.test")}, now);
  EXPECT_EQ(judged.verdict, Verdict::kAccepted);
  EXPECT_EQ(judged.by.would_refuse, Verdict::kServerNameMismatch);
  EXPECT_FALSE(judged.every_request);
}

TEST_P(AuditTest, AChangeEndsNothing) {
  (void)resolve("ok.test", {at(1)});
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
  const auto stricter = make_policy(kDeny, {});
  engine().set_policy(stricter, {now, sink});
  collect();
  EXPECT_NE(last_flow(), nullptr);
  engine().set_policy(tried_, {now, sink});
}

INSTANTIATE_TEST_SUITE_P(Families, AuditTest,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6));

}  // namespace
}  // namespace sluice::flow::test
