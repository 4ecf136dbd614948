#include "control/draft_text.h"

#include <gtest/gtest.h>

namespace sluice::control {
namespace {

using policy::DraftRule;
using policy::Effect;
using policy::EgressDraft;

DraftRule rule_of(const char* target, Effect effect = Effect::kAllow) {
  return {policy::parse_egress_target(target).value(),
          {.id = "ci.toml:3", .effect = effect, .source = "ci.toml"}};
}

EgressDraft everything() {
  EgressDraft draft{.fallback = Effect::kDeny};
  draft.rules = {rule_of("*.example.org:443"),
                 rule_of("10.0.0.0/8:22,80-90/tcp", Effect::kDeny),
                 rule_of("@public"),
                 rule_of("api-*.test:*/udp"),
                 rule_of("ask.test", Effect::kAsk),
                 rule_of("[2001:db8::]/32")};
  draft.rules[0].rule.note = "why \"so\"\n";
  draft.rules[0].rule.private_addresses = {wire::parse_prefix("10.1.0.0/16").value()};
  draft.rules[0].rule.sni = policy::SniUse::kOff;
  draft.rules[0].rule.host = policy::HostUse::kFirst;
  draft.rules[0].rule.limit = {.to_host = {.bytes = 7, .rate = 8}, .flows = 9};
  draft.rules[0].rule.via = policy::parse_via("connect:proxy.test:3128").value();
  draft.rules[0].rule.via->endpoints = {wire::parse_endpoint("10.9.0.1:3128").value(),
                                        wire::parse_endpoint("[2001:db8::1]:3128").value()};
  draft.rules[4].rule.decision = true;
  draft.limit.from_host.bytes = ~std::uint64_t{0};
  draft.dns = {.denied = policy::DeniedAnswer::kNoData,
               .intercept = false,
               .types = {wire::DnsType::kA, wire::DnsType::kTxt},
               .min_ttl = std::chrono::seconds(7),
               .grace = std::chrono::minutes(3),
               .budget = {.names = 3, .bytes = 99, .per = std::chrono::seconds(30)}};
  draft.tls = {.sni = policy::SniUse::kIfPresent,
               .encrypted_hello = policy::EncryptedHello::kRefuse};
  draft.http = {.host = policy::HostUse::kOff};
  return draft;
}

std::expected<EgressDraft, std::string> read(const std::vector<std::string>& lines) {
  DraftReader reader;
  for (const std::string& line : lines) {
    if (auto done = reader.read(line); !done) return std::unexpected(done.error());
  }
  return reader.finish();
}

TEST(DraftText, ComesBackAsItWas) {
  const EgressDraft draft = everything();
  const std::vector<std::string> lines = draft_lines(draft);
  const auto again = read(lines);
  ASSERT_TRUE(again.has_value()) << again.error();
  EXPECT_EQ(draft_lines(*again), lines);
  ASSERT_EQ(again->rules.size(), draft.rules.size());
  for (std::size_t i = 0; i < draft.rules.size(); ++i) {
    EXPECT_EQ(again->rules[i].target, draft.rules[i].target) << lines[i + 1];
    EXPECT_EQ(again->rules[i].rule.effect, draft.rules[i].rule.effect);
  }
  EXPECT_EQ(again->rules[0].rule.note, draft.rules[0].rule.note);
  EXPECT_EQ(again->rules[0].rule.private_addresses, draft.rules[0].rule.private_addresses);
  EXPECT_EQ(again->rules[0].rule.limit, draft.rules[0].rule.limit);
  EXPECT_EQ(again->rules[0].rule.via, draft.rules[0].rule.via);
  ASSERT_TRUE(again->rules[0].rule.via.has_value());
  EXPECT_EQ(again->rules[0].rule.via->endpoints, draft.rules[0].rule.via->endpoints);
  EXPECT_TRUE(again->rules[4].rule.decision);
  EXPECT_EQ(again->limit, draft.limit);
  EXPECT_EQ(again->dns.types, draft.dns.types);
  EXPECT_EQ(again->dns.budget.bytes, 99u);
  EXPECT_EQ(again->dns.grace, draft.dns.grace);
  EXPECT_EQ(again->tls.encrypted_hello, draft.tls.encrypted_hello);
}

TEST(DraftText, WhatIsNotUnderstoodIsAnErrorWithItsLine) {
  const auto error_of = [](const std::vector<std::string>& lines) {
    const auto draft = read(lines);
    return draft ? std::string() : draft.error();
  };
  EXPECT_EQ(error_of({}), "it is empty");
  EXPECT_EQ(error_of({"[]"}), "line 1: no object");
  EXPECT_EQ(error_of({R"({"default":"maybe"})"}), "line 1: 'default' is not what it should be");
  EXPECT_EQ(error_of({R"({"colour":"red"})"}), "line 1: it has an unknown member");
  EXPECT_EQ(error_of({"{}", R"({"target":"a.test"})"}), "line 2: 'effect' is missing");
  EXPECT_NE(error_of({"{}", R"({"effect":"allow","target":"a..test"})"}).find("line 2: expected"),
            std::string::npos);
  EXPECT_EQ(error_of({"{}", R"({"effect":"allow","target":"a.test","colour":"x"})"}),
            "line 2: it has an unknown member");
  EXPECT_EQ(error_of({"{}", R"({"effect":"allow","target":"a.test","via":"x"})"}),
            "line 2: 'via' is not what it should be");
  EXPECT_EQ(error_of({"{}", R"({"effect":"allow","target":"a.test","via-endpoints":[]})"}),
            "line 2: 'via-endpoints' is not what it should be");
  EXPECT_EQ(error_of({"{}", R"({"effect":"allow","target":"a.test","private":[7]})"}),
            "line 2: 'private' is not what it should be");
  EXPECT_EQ(error_of({R"({"rules":999999999})"}), "line 1: 'rules' is not what it should be");
}

}  // namespace
}  // namespace sluice::control
