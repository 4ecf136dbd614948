// Flows that a policy of names leaves to people: what waits, what an answer does to it, and what a
// new policy does.
#include "unit/flow/judge/names_fixture.h"

namespace sluice::flow::test {
namespace {

class JudgeAsk : public NamesFixture {
 protected:
  static constexpr auto kAsk = policy::Effect::kAsk;

  // With what was answered for more than a moment.
  void answer(policy::Effect fallback, const std::vector<WrittenRule>& rules,
              const std::vector<WrittenRule>& answers) {
    policy::EgressDraft draft{.fallback = fallback};
    for (const bool decision : {false, true}) {
      for (const WrittenRule& written : decision ? answers : rules) {
        draft.rules.push_back(
            {policy::parse_egress_target(written.target).value(),
             {.id = std::string(written.target), .effect = written.effect, .decision = decision}});
      }
    }
    auto next = std::make_unique<policy::EgressPolicy>(
        policy::EgressPolicy::compile(std::move(draft)).value());
    clear();
    engine().set_policy(*next, {now, sink});
    policies_.push_back(std::move(next));
    collect();
  }
  // A connection that waits.
  AskPolicy asked(const std::string& address, std::uint16_t port) {
    (void)all<AskPolicy>();
    clear();
    syn_guest_ = {guest_address(), {syn_port_++}};
    feed(syn({.guest = syn_guest_, .remote = {ip(address), {port}}}));
    const auto questions = all<AskPolicy>();
    EXPECT_EQ(questions.size(), 1u);
    return questions.empty() ? AskPolicy{} : questions[0];
  }
  void rule(const AskPolicy& question, Verdict verdict) {
    clear();
    engine().on_verdict(question.flow, {.verdict = verdict}, {now, sink});
    collect();
  }
  [[nodiscard]] bool keeps_first_bytes(const std::string& address, std::uint16_t port) {
    const TcpFlow* const flow =
        tcp().find(FlowKey{syn_guest_, {ip(address), {port}}, wire::IpProtocol::kTcp});
    return flow != nullptr && flow->kept != nullptr;
  }
  // What the first bytes of a flow to 7 say, which began as `begun`.
  Judged hello(const NamedBy& begun, std::string_view name) {
    Claim said{.kind = Claim::Kind::kTls, .name = {}};
    if (!name.empty()) said.name = wire::DomainName::from_text(name);
    return engine().judge().judge_claim(
        {{guest_address(), {1}}, {ip(at(7)), {443}}, wire::IpProtocol::kTcp}, begun, said, now);
  }

  std::vector<std::unique_ptr<policy::EgressPolicy>> policies_;
  wire::Endpoint syn_guest_;
  std::uint16_t syn_port_ = 30000;  // Not those of tcp_to().
};

TEST_P(JudgeAsk, AnApprovedConnectionGoesOnAndARefusedOneIsToldSo) {
  with(kAsk, {});
  const AskPolicy first = asked(at(7), 22);
  EXPECT_EQ(engine().rule_of(first.by).id, "default");
  rule(first, Verdict::kAccepted);
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
  const AskPolicy second = asked(at(7), 22);
  rule(second, Verdict::kAskRefused);
  EXPECT_TRUE(all<ConnectTcp>().empty());
  EXPECT_EQ(all<ReportFlow>().at(0).summary.verdict, Verdict::kAskRefused);
  ASSERT_EQ(frames.size(), 2u);  // The error, and a reset for the case that there is none.
  const auto packet = frames.front().packet();
  EXPECT_EQ(packet.payload[0], v4() ? 3 : 1);
  EXPECT_EQ(packet.payload[1], v4() ? 13 : 1);
}

TEST_P(JudgeAsk, AnAnswerForTheRunLetsWaitingOnesGoAndThoseThatFollow) {
  with(kAsk, {});
  (void)asked(at(7), 22);
  const std::string target = v4() ? at(7) + ":22/tcp" : "[" + at(7) + "]:22/tcp";
  answer(kAsk, {}, {{kAllow, target}});
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
  EXPECT_EQ(all<WithdrawAsk>().size(), 1u);
  EXPECT_EQ(tcp_to(at(7), 22), Verdict::kAccepted);
  (void)asked(at(7), 23);  // Another port is another question.
  answer(kAsk, {}, {{kDeny, target}});
  EXPECT_EQ(tcp_to(at(7), 22), Verdict::kAskRefused);
}

TEST_P(JudgeAsk, WhatIsStillAskedWaitsOnThroughAChangeAndWhatIsDeniedEnds) {
  with(kAsk, {});
  (void)asked(at(7), 22);
  answer(kAsk, {{kAllow, "other.test"}}, {});
  EXPECT_TRUE(all<ReportFlow>().empty());
  EXPECT_TRUE(all<ConnectTcp>().empty());
  answer(kDeny, {}, {});
  EXPECT_EQ(all<ReportFlow>().size(), 1u);
}

TEST_P(JudgeAsk, AnAnswerBeatsNoDenialAndOpensNothingThatIsNotAsked) {
  const std::string target = v4() ? at(7) + ":22/tcp" : "[" + at(7) + "]:22/tcp";
  const std::string address = v4() ? at(7) : "[" + at(7) + "]";
  with(kAsk, {});
  answer(kAsk, {{kDeny, address}}, {{kAllow, target}});
  EXPECT_EQ(tcp_to(at(7), 22), Verdict::kDeniedByPolicy);
  answer(kDeny, {{kAsk, "other.test"}}, {{kAllow, target}});
  EXPECT_EQ(tcp_to(at(7), 22), Verdict::kAddressUnlisted);
}

TEST_P(JudgeAsk, WhatWasApprovedOnceLivesOnWhileThePolicyAsks) {
  with(kAsk, {});
  const AskPolicy question = asked(at(7), 22);
  rule(question, Verdict::kAccepted);
  answer(kAsk, {{kAllow, "other.test"}}, {});
  EXPECT_TRUE(all<ReportFlow>().empty());
  answer(kDeny, {}, {});
  EXPECT_EQ(all<ReportFlow>().size(), 1u);
}

TEST_P(JudgeAsk, AnEchoRequestAsksAndIsDroppedAndARefusalIsTold) {
  with(kAsk, {});
  clear();
  feed(v4() ? ping_frame(network(), ip(at(7)), 77, 1, {}) : ping6(ip(at(7))));
  const auto questions = all<AskPolicy>();
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_TRUE(frames.empty());
  EXPECT_TRUE(pings.empty());
  EXPECT_EQ(engine().drops()[DropReason::kPingAsked], 1u);
  clear();
  engine().on_echo_verdict(questions[0].key, questions[0].by, Verdict::kAskNobody, {now, sink});
  collect();
  EXPECT_TRUE(told_prohibited());
  EXPECT_EQ(told(), Verdict::kAskNobody);
}

// An answer about an address is none about the names that are denied.
TEST_P(JudgeAsk, AnApprovedAddressIsNoWayToANameThatIsDenied) {
  with(kAsk, {{kDeny, "evil.test"}, {kAsk, "asked.test"}});
  const AskPolicy question = asked(at(7), 443);
  rule(question, Verdict::kAccepted);
  EXPECT_EQ(all<ConnectTcp>().size(), 1u);
  EXPECT_TRUE(keeps_first_bytes(at(7), 443));
  const NamedBy once{.rule = question.by.rule, .approved = true};
  EXPECT_EQ(hello(once, "evil.test").verdict, Verdict::kServerNameMismatch);
  EXPECT_EQ(hello(once, "asked.test").verdict, Verdict::kServerNameMismatch);
  EXPECT_EQ(hello(once, "other.test").verdict, Verdict::kAccepted);
  EXPECT_TRUE(hello(once, "other.test").by.approved);
  EXPECT_EQ(hello(once, {}).verdict, Verdict::kAccepted);
  EXPECT_EQ(hello({.rule = once.rule}, "other.test").verdict, Verdict::kServerNameMismatch);
  EXPECT_EQ(udp_to(at(7), 443), Verdict::kPortUnlisted);  // QUIC shows no name.

  const std::string target = v4() ? at(7) + ":443/tcp" : "[" + at(7) + "]:443/tcp";
  answer(kAsk, {{kDeny, "evil.test"}}, {{kAllow, target}});
  EXPECT_EQ(tcp_to(at(7), 443), Verdict::kAccepted);
  EXPECT_TRUE(gated());
  EXPECT_EQ(hello({}, "evil.test").verdict, Verdict::kServerNameMismatch);
  EXPECT_EQ(hello({}, "other.test").verdict, Verdict::kAccepted);
}

TEST_P(JudgeAsk, NorOneToANameThatWasRefusedWhenAsked) {
  const std::string target = v4() ? at(7) + ":443/tcp" : "[" + at(7) + "]:443/tcp";
  with(kAsk, {});
  answer(kAsk, {}, {{kAllow, target}, {kDeny, "evil.test:443/tcp"}});
  EXPECT_EQ(tcp_to(at(7), 443), Verdict::kAccepted);
  EXPECT_TRUE(gated());
  EXPECT_EQ(hello({}, "evil.test").verdict, Verdict::kServerNameMismatch);
  EXPECT_EQ(hello({}, "other.test").verdict, Verdict::kAccepted);
}

// A name that leads to the same address is learnt by the hello; the answer is still that of the
// address.
TEST_P(JudgeAsk, AnAnswerForAnAddressHoldsForAConnectionThatShowsItsName) {
  const std::string target = v4() ? at(7) + ":443/tcp" : "[" + at(7) + "]:443/tcp";
  const std::vector<WrittenRule> rules{{kDeny, "evil.test"}, {kAllow, "other.test:80"}};
  with(kAsk, rules);
  resolve("other.test", {at(7)});
  NamedBy by{.name = asked(at(7), 443).by.name};
  ASSERT_TRUE(by.name.valid());
  answer(kAsk, rules, {});
  EXPECT_FALSE(engine().judge().accepts_still(policy::Protocol::kTcp, {ip(at(7)), {443}}, by, now));
  answer(kAsk, rules, {{kAllow, target}});
  EXPECT_TRUE(engine().judge().accepts_still(policy::Protocol::kTcp, {ip(at(7)), {443}}, by, now));
}

INSTANTIATE_TEST_SUITE_P(Families, JudgeAsk,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& family) {
                           return family.param == wire::IpFamily::kV4 ? "v4" : "v6";
                         });

}  // namespace
}  // namespace sluice::flow::test
