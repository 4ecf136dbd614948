#include "policy/policy.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "policy/routable.h"

namespace sluice::policy {
namespace {

std::vector<Rule> rules(std::initializer_list<std::string_view> texts) {
  std::vector<Rule> list;
  for (const std::string_view text : texts) list.push_back(parse_rule(text).value());
  return list;
}

Policy make(std::initializer_list<std::string_view> deny,
            std::initializer_list<std::string_view> allow) {
  return Policy(rules(deny), rules(allow));
}

bool accepts(const Policy& policy, std::string_view address, std::uint16_t port = 80,
             Protocol protocol = Protocol::kTcp) {
  const wire::Endpoint target{wire::parse_ip(address).value(), wire::Port{port}};
  return policy.decide(protocol, target).effect == Effect::kAllow;
}

TEST(Policy, AcceptsWhatNoRuleNames) {
  const Policy policy;
  EXPECT_TRUE(accepts(policy, "192.0.2.1"));
  EXPECT_TRUE(accepts(policy, "0.0.0.0"));
  EXPECT_TRUE(accepts(policy, "255.255.255.255"));
  EXPECT_TRUE(accepts(policy, "::"));
  EXPECT_TRUE(accepts(policy, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
}

TEST(Policy, DeniesLinkLocalByDefault) {
  const Policy policy;
  EXPECT_FALSE(accepts(policy, "169.254.169.254"));
  EXPECT_FALSE(accepts(policy, "169.254.0.0"));
  EXPECT_FALSE(accepts(policy, "169.254.255.255", 443, Protocol::kUdp));
  EXPECT_FALSE(accepts(policy, "169.254.1.1", 0, Protocol::kIcmp));
  EXPECT_TRUE(accepts(policy, "169.253.255.255"));
  EXPECT_TRUE(accepts(policy, "169.255.0.0"));
  EXPECT_FALSE(accepts(policy, "fe80::1"));
  EXPECT_FALSE(accepts(policy, "febf::1"));
  EXPECT_TRUE(accepts(policy, "fec0::1"));
}

TEST(Policy, AllowOpensTheDefaultDenialOnlyWhereItNamesIt) {
  EXPECT_TRUE(accepts(make({}, {"169.254.169.254"}), "169.254.169.254"));
  EXPECT_FALSE(accepts(make({}, {"169.254.169.254"}), "169.254.169.253"));
  EXPECT_TRUE(accepts(make({}, {"169.254.0.0/16"}), "169.254.1.1"));
  EXPECT_TRUE(accepts(make({}, {"169.254.0.0/16:80"}), "169.254.1.1", 80));
  EXPECT_FALSE(accepts(make({}, {"169.254.0.0/16:80"}), "169.254.1.1", 81));
  EXPECT_FALSE(accepts(make({}, {"0.0.0.0/0"}), "169.254.1.1"));
}

TEST(Policy, AMappedAddressIsTheIpv4AddressInIt) {
  EXPECT_FALSE(accepts(Policy{}, "::ffff:169.254.169.254"));
  EXPECT_FALSE(accepts(make({"10.0.0.0/8"}, {}), "::ffff:10.0.0.1"));
}

TEST(Policy, TheFamiliesAreApart) {
  const Policy policy = make({"::/0"}, {});
  EXPECT_TRUE(accepts(policy, "192.0.2.1"));
  EXPECT_FALSE(accepts(policy, "2001:db8::1"));
  EXPECT_TRUE(accepts(make({"0.0.0.0/0"}, {}), "2001:db8::1"));
}

TEST(Policy, TheLongerPrefixDecides) {
  const Policy policy = make({"10.0.0.0/8", "10.1.2.0/24"}, {"10.1.0.0/16"});
  EXPECT_FALSE(accepts(policy, "10.0.0.1"));
  EXPECT_TRUE(accepts(policy, "10.1.0.1"));
  EXPECT_FALSE(accepts(policy, "10.1.2.3"));
  EXPECT_TRUE(accepts(policy, "10.1.3.0"));
  EXPECT_FALSE(accepts(policy, "10.2.0.0"));
  EXPECT_TRUE(accepts(policy, "11.0.0.0"));
}

TEST(Policy, AWhitelistPermitsNothingElse) {
  const Policy policy = make({"0.0.0.0/0", "::/0"}, {"10.0.0.0/8:443"});
  EXPECT_TRUE(accepts(policy, "10.9.9.9", 443));
  EXPECT_FALSE(accepts(policy, "10.9.9.9", 80));
  EXPECT_FALSE(accepts(policy, "10.9.9.9", 0, Protocol::kIcmp));
  EXPECT_FALSE(accepts(policy, "11.0.0.1", 443));
  EXPECT_FALSE(accepts(policy, "2001:db8::1", 443));
}

TEST(Policy, FewerPortsDecideAtTheSamePrefix) {
  const Policy policy =
      make({"10.0.0.0/8:22", "10.0.0.0/8:8000-9000"}, {"10.0.0.0/8", "10.0.0.0/8:8080-8090"});
  EXPECT_FALSE(accepts(policy, "10.0.0.1", 22));
  EXPECT_TRUE(accepts(policy, "10.0.0.1", 21));
  EXPECT_TRUE(accepts(policy, "10.0.0.1", 23));
  EXPECT_FALSE(accepts(policy, "10.0.0.1", 8079));
  EXPECT_TRUE(accepts(policy, "10.0.0.1", 8080));
  EXPECT_TRUE(accepts(policy, "10.0.0.1", 8090));
  EXPECT_FALSE(accepts(policy, "10.0.0.1", 8091));
  EXPECT_FALSE(accepts(policy, "10.0.0.1", 9000));
  EXPECT_TRUE(accepts(policy, "10.0.0.1", 65535));
}

TEST(Policy, DenyBeatsAllowOnATie) {
  EXPECT_FALSE(accepts(make({"10.0.0.0/8"}, {"10.0.0.0/8"}), "10.0.0.1"));
  EXPECT_FALSE(accepts(make({"10.0.0.0/8:80"}, {"10.0.0.0/8:80"}), "10.0.0.1", 80));
}

TEST(Policy, ANamedProtocolDecidesAtTheSamePorts) {
  const Policy policy =
      make({"10.0.0.0/8", "10.0.0.0/8:53/udp"}, {"10.0.0.0/8/icmp", "10.0.0.0/8:53"});
  EXPECT_TRUE(accepts(policy, "10.0.0.1", 0, Protocol::kIcmp));
  EXPECT_TRUE(accepts(policy, "10.0.0.1", 53));
  EXPECT_FALSE(accepts(policy, "10.0.0.1", 53, Protocol::kUdp));
  EXPECT_FALSE(accepts(policy, "10.0.0.1", 54));
}

PolicyRule rule_of(std::string_view text, Effect effect,
                   PolicyRule::Subset subset = PolicyRule::Subset::kAll) {
  return {.rule = parse_rule(text).value(), .effect = effect, .subset = subset};
}

TEST(Policy, TheDefaultDecidesWhereNoRuleDoes) {
  for (const Effect effect : {Effect::kAllow, Effect::kAsk, Effect::kDeny}) {
    const Policy policy({rule_of("10.0.0.0/8", Effect::kAllow)}, effect);
    const wire::Endpoint target{wire::parse_ip("192.0.2.1").value(), wire::Port{80}};
    EXPECT_EQ(policy.decide(Protocol::kTcp, target).effect, effect);
    EXPECT_EQ(policy.decide(Protocol::kTcp, target).rule, nullptr);
    EXPECT_TRUE(accepts(policy, "10.0.0.1"));
  }
}

TEST(Policy, AskComesBetweenDenyAndAllowOnATie) {
  const auto effect_of = [](std::vector<PolicyRule> rules) {
    const Policy policy(std::move(rules), Effect::kAllow);
    return policy.decide(Protocol::kTcp, {wire::parse_ip("10.0.0.1").value(), wire::Port{80}})
        .effect;
  };
  const PolicyRule allow = rule_of("10.0.0.0/8", Effect::kAllow);
  const PolicyRule ask = rule_of("10.0.0.0/8", Effect::kAsk);
  const PolicyRule deny = rule_of("10.0.0.0/8", Effect::kDeny);
  EXPECT_EQ(effect_of({allow, ask}), Effect::kAsk);
  EXPECT_EQ(effect_of({ask, allow}), Effect::kAsk);
  EXPECT_EQ(effect_of({allow, deny, ask}), Effect::kDeny);
}

TEST(Policy, PublicIsLessThanAnyPrefixAndMoreThanAFamily) {
  const Policy policy({rule_of("0.0.0.0/0", Effect::kDeny),
                       rule_of("0.0.0.0/0", Effect::kAllow, PolicyRule::Subset::kPublic),
                       rule_of("8.0.0.0/7", Effect::kDeny)},
                      Effect::kDeny);
  EXPECT_TRUE(accepts(policy, "1.1.1.1"));
  EXPECT_FALSE(accepts(policy, "9.9.9.9"));
  EXPECT_FALSE(accepts(policy, "10.0.0.1"));
  EXPECT_FALSE(accepts(policy, "192.168.1.1"));
  EXPECT_FALSE(accepts(policy, "168.63.129.16"));
}

TEST(Policy, RulesOnTheHostCountForItsAddressesOnly) {
  const Policy policy({rule_of("::/0", Effect::kAllow, PolicyRule::Subset::kHost),
                       rule_of("192.0.2.0/24", Effect::kDeny), rule_of("192.0.2.9", Effect::kDeny)},
                      Effect::kDeny);
  const auto effect_of = [&](std::string_view address, OnHost on_host) {
    return policy.decide(Protocol::kTcp, {wire::parse_ip(address).value(), wire::Port{80}}, on_host)
        .effect;
  };
  EXPECT_EQ(effect_of("192.0.2.1", OnHost::kYes), Effect::kAllow);
  EXPECT_EQ(effect_of("192.0.2.1", OnHost::kNo), Effect::kDeny);
  EXPECT_EQ(effect_of("198.51.100.1", OnHost::kYes), Effect::kAllow);
  EXPECT_EQ(effect_of("192.0.2.9", OnHost::kYes), Effect::kDeny);
}

TEST(Policy, RulesWithPortsFallThroughToTheShorterPrefix) {
  const Policy policy = make({"10.0.0.0/8"}, {"10.1.0.0/16:443", "10.1.1.0/24:80"});
  EXPECT_TRUE(accepts(policy, "10.1.1.1", 443));
  EXPECT_TRUE(accepts(policy, "10.1.1.1", 80));
  EXPECT_FALSE(accepts(policy, "10.1.1.1", 22));
}

TEST(Policy, NamesTheRuleThatDecided) {
  const Policy policy = make({"10.0.0.0/8:80"}, {});
  const wire::Endpoint denied{wire::parse_ip("10.0.0.1").value(), wire::Port{80}};
  const Decision decision = policy.decide(Protocol::kTcp, denied);
  ASSERT_NE(decision.rule, nullptr);
  EXPECT_EQ(to_string(decision.rule->rule), "10.0.0.0/8:80");
  EXPECT_EQ(decision.rule->origin, Origin::kUser);
  const wire::Endpoint other{wire::parse_ip("10.0.0.1").value(), wire::Port{81}};
  EXPECT_EQ(policy.decide(Protocol::kTcp, other).rule, nullptr);
  const wire::Endpoint local{wire::parse_ip("169.254.0.1").value(), wire::Port{80}};
  EXPECT_EQ(policy.decide(Protocol::kTcp, local).rule->origin, Origin::kDefault);
}

TEST(Policy, DefaultDenialsCanBeLeftOut) {
  const Policy policy({}, {}, DefaultDenials::kOff);
  EXPECT_TRUE(accepts(policy, "169.254.169.254"));
}

TEST(Routable, TheHostItselfAndGroupsAreNever) {
  for (const char* text : {"0.0.0.0", "0.255.255.255", "127.0.0.1", "127.255.255.255", "224.0.0.0",
                           "239.255.255.255", "255.255.255.255", "::", "::1", "ff02::1",
                           "ff00::", "::ffff:127.0.0.1", "::ffff:0.0.0.0"}) {
    EXPECT_TRUE(is_never_routable(wire::parse_ip(text).value())) << text;
  }
  for (const char* text : {"1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255",
                           "240.0.0.1", "::2", "1::", "::1:0:1", "feff::1"}) {
    EXPECT_FALSE(is_never_routable(wire::parse_ip(text).value())) << text;
  }
}

}  // namespace
}  // namespace sluice::policy
