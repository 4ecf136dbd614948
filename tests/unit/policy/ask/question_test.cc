// The rules that answers make.
#include "policy/ask/question.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

std::string rule(const Question& question, AnswerBreadth breadth) {
  const auto target = target_of(question, breadth);
  return target ? to_string(*target) : "none";
}

TEST(QuestionTest, AnswersMakeRulesNoWiderThanTheySay) {
  const Question question{
      .subject = {.name = wire::DomainName::from_text("www.example.com"), .port = {443}},
      .domain = "example.com"};
  EXPECT_EQ(rule(question, AnswerBreadth::kNamePort), "www.example.com:443/tcp");
  EXPECT_EQ(rule(question, AnswerBreadth::kName), "www.example.com:*/tcp");
  EXPECT_EQ(rule(question, AnswerBreadth::kDomain), ".example.com:443/tcp");
}

TEST(QuestionTest, AnAddressAndAPublicSuffixHaveNoDomain) {
  const Question v6{.subject = {.address = wire::parse_ip("2001:db8::1").value(),
                                .protocol = Protocol::kUdp,
                                .port = {53}}};
  EXPECT_EQ(rule(v6, AnswerBreadth::kNamePort), "[2001:db8::1]:53/udp");
  EXPECT_EQ(rule(v6, AnswerBreadth::kDomain), "none");
  const Question suffix{.subject = {.name = wire::DomainName::from_text("co.uk"), .port = {443}}};
  EXPECT_EQ(rule(suffix, AnswerBreadth::kDomain), "none");
}

TEST(QuestionTest, AnEchoRequestHasNoPort) {
  const Question question{.subject = {.name = wire::DomainName::from_text("ping.example"),
                                      .protocol = Protocol::kIcmp}};
  EXPECT_EQ(rule(question, AnswerBreadth::kNamePort), "ping.example/icmp");
  EXPECT_EQ(rule(question, AnswerBreadth::kName), "ping.example/icmp");
}

TEST(QuestionTest, ANameThatCannotBeWrittenMakesNoRule) {
  for (const auto* name : {"a b.test", "a\\.b.test", "\\000.test", "*.evil.test", "@public"}) {
    const Question question{.subject = {.name = wire::DomainName::from_text(name), .port = {443}}};
    EXPECT_EQ(rule(question, AnswerBreadth::kNamePort), "none") << name;
  }
}

}  // namespace
}  // namespace sluice::policy
