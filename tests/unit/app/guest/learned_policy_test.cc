#include "app/guest/learned_policy.h"

#include <gtest/gtest.h>

#include "config/egress/policy_file.h"

namespace sluice::app {
namespace {

using telemetry::Usage;

Usage sample() {
  constexpr auto kTcp = policy::Protocol::kTcp;
  Usage usage;
  usage.rows()[{"www.example.co.uk", true, 443, kTcp}] = {.flows = 3, .bytes_to_guest = 2048};
  usage.rows()[{"cdn.example.co.uk", true, 443, kTcp}] = {.flows = 1};
  usage.rows()[{"time.test", true, 123, policy::Protocol::kUdp}] = {.flows = 1};
  usage.rows()[{"2001:db8::7", false, 22, kTcp}] = {.flows = 1};
  usage.rows()[{"203.0.113.9", false, 0, policy::Protocol::kIcmp}] = {.flows = 2};
  usage.rows()[{"gone.test", true, 443, kTcp}] = {.flows = 2, .failed = 2};
  usage.rows()[{"jira.corp.test", true, 443, kTcp}] = {
      .flows = 1, .private_addresses = {wire::parse_ip("10.1.2.3").value()}};
  usage.rows()[{"bad\\010name\"\n", true, 443, kTcp}] = {.flows = 4};
  return usage;
}

policy::EgressPolicy compiled(const std::string& text) {
  const config::ProfileLibrary none({});
  config::PolicyParts parts;
  const auto read = config::PolicyReader(none, parts).add_text(text, "p.toml", "p.toml");
  EXPECT_TRUE(read.has_value()) << text << (read ? "" : read.error().front().describe());
  parts.draft.fallback = parts.fallback.value_or(policy::Effect::kAllow);
  return policy::EgressPolicy::compile(parts.draft).value();
}

policy::Effect at(const policy::EgressPolicy& policy, const char* name, std::uint16_t port,
                  policy::Protocol protocol = policy::Protocol::kTcp) {
  const auto ruled =
      policy.for_name(wire::DomainName::from_text(name).value(), protocol, wire::Port{port});
  return ruled ? ruled->effect : policy.default_effect();
}

TEST(LearnedPolicy, IsAPolicyOfWhatWasUsed) {
  const std::string text = learned_policy(sample(), Generalise::kNo);
  const auto policy = compiled(text);
  EXPECT_EQ(policy.default_effect(), policy::Effect::kDeny);
  EXPECT_EQ(at(policy, "www.example.co.uk", 443), policy::Effect::kAllow);
  EXPECT_EQ(at(policy, "www.example.co.uk", 80), policy::Effect::kDeny);
  EXPECT_EQ(at(policy, "other.example.co.uk", 443), policy::Effect::kDeny);
  EXPECT_EQ(at(policy, "time.test", 123, policy::Protocol::kUdp), policy::Effect::kAllow);
  EXPECT_EQ(at(policy, "gone.test", 443), policy::Effect::kDeny) << "nobody answered there";
  const auto v6 = policy.for_address(policy::Protocol::kTcp,
                                     {wire::parse_ip("2001:db8::7").value(), wire::Port{22}});
  ASSERT_TRUE(v6.has_value());
  EXPECT_EQ(v6->effect, policy::Effect::kAllow);
  EXPECT_NE(text.find("# 3 times, 0 B out, 2.0 KiB in\n"), std::string::npos) << text;
  EXPECT_NE(text.find("private = [\"10.1.2.3\"]"), std::string::npos) << text;
  EXPECT_NE(text.find("#   gone.test:443, 2 times\n"), std::string::npos) << text;
  EXPECT_NE(text.find("of a name: 4 times\n"), std::string::npos) << text;
}

TEST(LearnedPolicy, WholeDomainsAreForWhoAsksForThem) {
  const auto policy = compiled(learned_policy(sample(), Generalise::kDomains));
  EXPECT_EQ(at(policy, "other.example.co.uk", 443), policy::Effect::kAllow);
  EXPECT_EQ(at(policy, "example.co.uk", 443), policy::Effect::kAllow);
  EXPECT_EQ(at(policy, "another.co.uk", 443), policy::Effect::kDeny);
}

}  // namespace
}  // namespace sluice::app
