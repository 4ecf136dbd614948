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

INSTANTIATE_TEST_SUITE_P(Families, JudgeAsk,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& family) {
                           return family.param == wire::IpFamily::kV4 ? "v4" : "v6";
                         });

}  // namespace
}  // namespace sluice::flow::test
