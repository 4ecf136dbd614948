// What first bytes claim, against the pins and rules of an engine.
#include "unit/flow/judge/names_fixture.h"

namespace sluice::flow::test {
namespace {

class JudgeClaimTest : public NamesFixture {};

TEST_P(JudgeClaimTest, TheServerNameMustBeOneOfTheAddress) {
  (void)resolve("ok.test", {at(1)});
  (void)resolve("a.wild.test", {at(2)});
  EXPECT_EQ(tls(at(1), "ok.test"), Verdict::kAccepted);
  EXPECT_EQ(tls(at(1), "OK.TEST"), Verdict::kAccepted);
  EXPECT_EQ(tls(at(1), "evil.test"), Verdict::kServerNameMismatch);
  EXPECT_EQ(tls(at(1), "a.wild.test"), Verdict::kServerNameMismatch) << "of another address";
  EXPECT_EQ(tls(at(1), "never.wild.test"), Verdict::kServerNameMismatch) << "never asked for";
  EXPECT_EQ(tls(at(1), ""), Verdict::kNoServerName);
  EXPECT_EQ(opaque(at(1), 443), Verdict::kNotTls);
  const Judged judged = claim(at(1), 443, Kind::kTls, "ok.test");
  EXPECT_EQ(engine().name_of(judged.by)->to_text(), "ok.test");
  EXPECT_EQ(judged.by.source, NameSource::kServerName);
}

TEST_P(JudgeClaimTest, TheHostOfARequestMustBeOneOfTheAddress) {
  (void)resolve("plain.test", {at(3)});
  EXPECT_EQ(http(at(3), "plain.test"), Verdict::kAccepted);
  EXPECT_EQ(http(at(3), "evil.test"), Verdict::kHostMismatch);
  EXPECT_EQ(http(at(3), ""), Verdict::kHostMismatch);
  EXPECT_EQ(opaque(at(3), 80), Verdict::kNotHttp);
  EXPECT_TRUE(claim(at(3), 80, Kind::kHttp, "plain.test").every_request);
}

TEST_P(JudgeClaimTest, WhereNeitherIsSpokenThePinDecides) {
  (void)resolve("ssh.test", {at(4)});
  EXPECT_EQ(tcp_to(at(4), 22), Verdict::kAccepted);
  EXPECT_EQ(opaque(at(4), 22), Verdict::kAccepted);
  EXPECT_EQ(opaque(at(5), 22), Verdict::kServerNameMismatch) << "of no name";
}

TEST_P(JudgeClaimTest, ARuleMayLeaveTheServerNameAlone) {
  with(kDeny, {{kAllow, "ok.test:443", {}, policy::SniUse::kOff},
               {kAllow, "if.test:443", {}, policy::SniUse::kIfPresent}});
  (void)resolve("ok.test", {at(1)});
  (void)resolve("if.test", {at(2)});
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
  EXPECT_FALSE(gated());
  EXPECT_EQ(tcp_to(at(2), 443), Verdict::kAccepted);
  EXPECT_TRUE(gated());
  EXPECT_EQ(tls(at(2), ""), Verdict::kAccepted);
  EXPECT_EQ(opaque(at(2), 443), Verdict::kAccepted);
  EXPECT_EQ(tls(at(2), "evil.test"), Verdict::kServerNameMismatch);
}

TEST_P(JudgeClaimTest, AnEncryptedHelloIsItsOuterNameOrRefused) {
  (void)resolve("ok.test", {at(1)});
  EXPECT_EQ(claim(at(1), 443, Kind::kTls, "ok.test", true).verdict, Verdict::kAccepted);
  policy::EgressDraft draft{.fallback = kDeny};
  draft.rules.push_back({policy::parse_egress_target("ok.test").value(), {.effect = kAllow}});
  draft.tls.encrypted_hello = policy::EncryptedHello::kRefuse;
  const auto strict = policy::EgressPolicy::compile(std::move(draft)).value();
  engine().use_policy(strict);
  EXPECT_EQ(claim(at(1), 443, Kind::kTls, "ok.test", true).verdict, Verdict::kEncryptedHello);
  EXPECT_EQ(claim(at(1), 443, Kind::kTls, "ok.test").verdict, Verdict::kAccepted);
}

TEST_P(JudgeClaimTest, WordsAreOfTheRule) {
  (void)resolve("ok.test", {at(1)});
  EXPECT_EQ(engine().judge().words_of({}, claim(at(1), 443, Kind::kTls, "evil.test")).rule,
            "default");
}

TEST_P(JudgeClaimTest, ADeniedNameIsLookedForWhereAddressesAreOpen) {
  with(kAllow, {{kDeny, "evil.test"}});
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
  EXPECT_TRUE(gated());
  EXPECT_EQ(tcp_to(at(1), 22), Verdict::kAccepted);
  EXPECT_FALSE(gated());
  EXPECT_EQ(udp_to(at(1), 443), Verdict::kPortUnlisted) << "QUIC hides it";
  EXPECT_EQ(tls(at(1), "evil.test"), Verdict::kServerNameMismatch);
  EXPECT_EQ(tls(at(1), "other.test"), Verdict::kAccepted);
  EXPECT_EQ(tls(at(1), ""), Verdict::kAccepted);
  EXPECT_EQ(opaque(at(1), 443), Verdict::kAccepted);
}

INSTANTIATE_TEST_SUITE_P(Families, JudgeClaimTest,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& one) {
                           return one.param == wire::IpFamily::kV4 ? "v4" : "v6";
                         });

}  // namespace
}  // namespace sluice::flow::test
