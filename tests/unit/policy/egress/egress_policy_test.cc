#include "policy/egress/egress_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace sluice::policy {
namespace {

struct Written {
  Effect effect;
  std::string_view target;
};

EgressDraft draft_of(Effect fallback, std::vector<Written> rules) {
  EgressDraft draft{.fallback = fallback};
  for (const Written& rule : rules) {
    draft.rules.push_back(
        {parse_egress_target(rule.target).value(),
         {.id = "#" + std::to_string(draft.rules.size()), .effect = rule.effect}});
  }
  return draft;
}

EgressPolicy made(Effect fallback, std::vector<Written> rules) {
  return EgressPolicy::compile(draft_of(fallback, std::move(rules))).value();
}

wire::DomainName name(std::string_view text) { return wire::DomainName::from_text(text).value(); }

wire::Endpoint at(std::string_view address, std::uint16_t port) {
  return {wire::parse_ip(address).value(), wire::Port{port}};
}

// "allow #3" or "none".
std::string said(const EgressPolicy& policy, const std::optional<Ruled>& ruled) {
  if (!ruled) return "none";
  return std::string(to_string(ruled->effect)) + " " + policy.rule(ruled->rule).id;
}

std::string of_name(const EgressPolicy& policy, std::string_view text, std::uint16_t port = 443,
                    Protocol protocol = Protocol::kTcp) {
  return said(policy, policy.for_name(name(text), protocol, wire::Port{port}));
}

constexpr Effect kAllow = Effect::kAllow;
constexpr Effect kAsk = Effect::kAsk;
constexpr Effect kDeny = Effect::kDeny;

TEST(EgressPolicy, WithoutRulesAllIsAsWithoutAPolicy) {
  const EgressPolicy policy;
  EXPECT_FALSE(policy.names_decide());
  EXPECT_EQ(policy.default_effect(), kAllow);
  EXPECT_EQ(of_name(policy, "example.com"), "none");
  EXPECT_EQ(policy.for_query(name("example.com")).effect, kAllow);
  EXPECT_EQ(said(policy, policy.for_address(Protocol::kTcp, at("192.0.2.1", 80))), "none");
  EXPECT_EQ(said(policy, policy.for_address(Protocol::kTcp, at("169.254.169.254", 80))),
            "deny built-in");
}

TEST(EgressPolicy, NamesDecideWhereOneIsListedOrTheDefaultRefuses) {
  EXPECT_FALSE(made(kAllow, {{kDeny, "10.0.0.0/8"}}).names_decide());
  EXPECT_TRUE(made(kDeny, {}).names_decide());
  EXPECT_TRUE(made(kAllow, {{kDeny, "example.com"}}).names_decide());
  EXPECT_FALSE(made(kDeny, {{kAllow, "example.com"}}).denies_names());
  EXPECT_TRUE(made(kDeny, {{kAllow, "*"}, {kDeny, "example.com"}}).denies_names());
}

TEST(EgressPolicy, TheMostSpecificNameDecidesWhateverTheOrder) {
  std::vector<Written> rules{{kDeny, "*"},
                             {kAllow, "*.example.com"},
                             {kDeny, "*.corp.example.com"},
                             {kAllow, "api-*.corp.example.com"},
                             {kDeny, "api-1*.corp.example.com"},
                             {kAllow, "api-12.corp.example.com"}};
  const EgressPolicy forward = made(kDeny, rules);
  EXPECT_EQ(of_name(forward, "example.org"), "deny #0");
  EXPECT_EQ(of_name(forward, "example.com"), "deny #0");
  EXPECT_EQ(of_name(forward, "WWW.example.com"), "allow #1");
  EXPECT_EQ(of_name(forward, "corp.example.com"), "allow #1");
  EXPECT_EQ(of_name(forward, "a.b.corp.example.com"), "deny #2");
  EXPECT_EQ(of_name(forward, "api-2.corp.example.com"), "allow #3");
  EXPECT_EQ(of_name(forward, "api-11.corp.example.com"), "deny #4");
  EXPECT_EQ(of_name(forward, "api-12.corp.example.com"), "allow #5");
  std::ranges::reverse(rules);
  const EgressPolicy backward = made(kDeny, rules);
  EXPECT_EQ(of_name(backward, "api-12.corp.example.com"), "allow #0");
  EXPECT_EQ(of_name(backward, "a.b.corp.example.com"), "deny #3");
}

TEST(EgressPolicy, ATieIsDenyThenAskThenAllow) {
  EXPECT_EQ(of_name(made(kDeny, {{kAllow, "a.test"}, {kDeny, "a.test"}}), "a.test"), "deny #1");
  EXPECT_EQ(of_name(made(kDeny, {{kAllow, "a.test"}, {kAsk, "a.test"}}), "a.test"), "ask #1");
  EXPECT_EQ(of_name(made(kDeny, {{kAllow, "a.test:443"}, {kDeny, "a.test"}}), "a.test"),
            "allow #0");
  EXPECT_EQ(of_name(made(kDeny, {{kAllow, "a.test"}, {kAllow, "a.test"}}), "a.test"), "allow #0");
  EXPECT_EQ(of_name(made(kDeny, {{kAllow, "*.test"}, {kDeny, ".test"}}), "a.test"), "deny #1");
}

TEST(EgressPolicy, TheApexIsOfItsOwnPatternOnly) {
  const EgressPolicy policy = made(kDeny, {{kDeny, "*.test"}, {kAllow, ".a.test"}});
  EXPECT_EQ(of_name(policy, "a.test"), "allow #1");
  EXPECT_EQ(of_name(policy, "b.a.test"), "allow #1");
  EXPECT_EQ(of_name(policy, "b.test"), "deny #0");
  EXPECT_EQ(of_name(policy, "test"), "none");
}

TEST(EgressPolicy, PortsAndProtocolsBelongToTheRule) {
  const EgressPolicy policy =
      made(kDeny, {{kAllow, "a.test"}, {kAllow, "a.test:53/udp"}, {kAllow, "a.test/icmp"}});
  EXPECT_EQ(of_name(policy, "a.test", 80), "allow #0");
  EXPECT_EQ(of_name(policy, "a.test", 22), "none");
  EXPECT_EQ(of_name(policy, "a.test", 443, Protocol::kUdp), "none");
  EXPECT_EQ(of_name(policy, "a.test", 53, Protocol::kUdp), "allow #1");
  EXPECT_EQ(of_name(policy, "a.test", 0, Protocol::kIcmp), "allow #2");
  EXPECT_TRUE(policy.any_rule_for_name(name("a.test")));
  EXPECT_FALSE(policy.any_rule_for_name(name("b.a.test")));
}

TEST(EgressPolicy, WhereOnePatternSaysNothingOfAPortTheNextIsAsked) {
  const EgressPolicy policy = made(kDeny, {{kAllow, "*.test:22"}, {kDeny, "a.test:443"}});
  EXPECT_EQ(of_name(policy, "a.test", 22), "allow #0");
  EXPECT_EQ(of_name(policy, "a.test", 443), "deny #1");
}

TEST(EgressPolicy, AQuestionMayLeaveIfAnyPortMayBeReached) {
  const EgressPolicy policy = made(kDeny, {{kAllow, "a.test:7000-7001"},
                                           {kDeny, "b.test"},
                                           {kAsk, "c.test"},
                                           {kAllow, "d.test:53/udp"},
                                           {kDeny, "d.test:1-52"}});
  EXPECT_EQ(said(policy, policy.for_query(name("a.test"))), "allow #0");
  EXPECT_EQ(said(policy, policy.for_query(name("b.test"))), "deny #1");
  EXPECT_EQ(said(policy, policy.for_query(name("c.test"))), "ask #2");
  EXPECT_EQ(said(policy, policy.for_query(name("d.test"))), "allow #3");
  EXPECT_EQ(said(policy, policy.for_query(name("e.test"))), "deny default");
}

TEST(EgressPolicy, WhereTheDefaultAllowsOnlyAWholeDenialStopsAQuestion) {
  const EgressPolicy policy = made(kAllow, {{kDeny, "a.test:25"}, {kDeny, "b.test"}});
  EXPECT_EQ(said(policy, policy.for_query(name("a.test"))), "allow default");
  EXPECT_EQ(said(policy, policy.for_query(name("b.test"))), "deny #1");
}

TEST(EgressPolicy, AnAddressRuleForTheInternetLetsQuestionsLeave) {
  const EgressPolicy internet = made(kDeny, {{kAllow, "@public:443"}, {kDeny, "*.corp.test"}});
  EXPECT_EQ(said(internet, internet.for_query(name("a.test"))), "allow #0");
  EXPECT_EQ(said(internet, internet.for_query(name("a.corp.test"))), "deny #1");
  const EgressPolicy lan = made(kDeny, {{kAllow, "10.0.0.0/8"}});
  EXPECT_EQ(said(lan, lan.for_query(name("a.test"))), "deny default");
}

TEST(EgressPolicy, KnowsWhatStandsAboveAnAllowedName) {
  const EgressPolicy policy = made(
      kDeny, {{kAllow, "a.b.test"}, {kAllow, "*.c.org"}, {kDeny, "x.c.org"}, {kDeny, "d.net"}});
  EXPECT_TRUE(policy.above_an_allowed_name(name("b.test")));
  EXPECT_TRUE(policy.above_an_allowed_name(name("TEST")));
  EXPECT_FALSE(policy.above_an_allowed_name(name("z.b.test")));
  EXPECT_FALSE(policy.above_an_allowed_name(name("a.b.test")));
  EXPECT_TRUE(policy.above_an_allowed_name(name("c.org")));
  // Names below it match *.c.org.
  EXPECT_TRUE(policy.above_an_allowed_name(name("x.c.org")));
  EXPECT_FALSE(policy.above_an_allowed_name(name("net")));
  EXPECT_FALSE(policy.above_an_allowed_name(name("other.org")));
}

TEST(EgressPolicy, ABudgetIsOfWhatNamesOfAPatternHaveInCommon) {
  const EgressPolicy policy = made(kDeny, {{kAllow, "*.wild.test"},
                                           {kAllow, "one.wild.test"},
                                           {kAllow, "api-*.a.test"},
                                           {kAllow, ".b.test"},
                                           {kDeny, "no.wild.test"}});
  const auto domain = [&](std::string_view text) {
    const auto found = policy.budget_domain(name(text));
    return found ? found->to_text() : "none";
  };
  EXPECT_EQ(domain("a.b.WILD.test"), "wild.test");
  EXPECT_EQ(domain("one.wild.test"), "none");
  EXPECT_EQ(domain("no.wild.test"), "none");
  EXPECT_EQ(domain("api-1.a.test"), "a.test");
  EXPECT_EQ(domain("b.test"), "none");
  EXPECT_EQ(domain("x.b.test"), "b.test");
  EXPECT_EQ(domain("other.test"), "none");
  EXPECT_TRUE(policy.lists_name(name("one.wild.test")));
  EXPECT_FALSE(policy.lists_name(name("no.wild.test")));
  const EgressPolicy all = made(kDeny, {{kAllow, "*"}, {kAllow, "db"}});
  EXPECT_EQ(all.budget_domain(name("a.test")), std::nullopt);
  EXPECT_FALSE(all.lists_name(name("secret")));
  EXPECT_TRUE(all.lists_name(name("db")));
}

TEST(EgressPolicy, GroupsAreRulesOnTheirAddresses) {
  EgressDraft draft = draft_of(kDeny, {{kAllow, "@public:443"},
                                       {kAllow, "@private:5432"},
                                       {kAllow, "@metadata:80"},
                                       {kAllow, "@gateway:8080"},
                                       {kAllow, "@link-local/icmp"}});
  draft.gateways = {wire::parse_ip("10.0.2.2").value(), wire::parse_ip("fd00::2").value()};
  const EgressPolicy policy = EgressPolicy::compile(std::move(draft)).value();
  const auto said_of = [&](std::string_view address, std::uint16_t port,
                           Protocol protocol = Protocol::kTcp) {
    return said(policy, policy.for_address(protocol, at(address, port)));
  };
  EXPECT_EQ(said_of("1.1.1.1", 443), "allow #0");
  EXPECT_EQ(said_of("2606:4700::1111", 443), "allow #0");
  EXPECT_EQ(said_of("1.1.1.1", 80), "none");
  EXPECT_EQ(said_of("10.1.2.3", 443), "none");
  EXPECT_EQ(said_of("192.168.1.1", 5432), "allow #1");
  EXPECT_EQ(said_of("fd12::1", 5432), "allow #1");
  EXPECT_EQ(said_of("169.254.169.254", 80), "allow #2");
  EXPECT_EQ(said_of("169.254.169.254", 81), "deny built-in");
  EXPECT_EQ(said_of("169.254.1.1", 80), "deny built-in");
  EXPECT_EQ(said_of("169.254.1.1", 0, Protocol::kIcmp), "allow #4");
  EXPECT_EQ(said_of("10.0.2.2", 8080), "allow #3");
  EXPECT_EQ(said_of("fd00::2", 8080), "allow #3");
  EXPECT_EQ(said_of("10.0.2.2", 8081), "none");
}

TEST(EgressPolicy, KeepsWhatAPersonWrote) {
  const EgressPolicy policy = made(kDeny, {{kAllow, "Example.com.:443"}});
  ASSERT_EQ(policy.rules().size(), 1u);
  EXPECT_EQ(policy.rules()[0].text, "example.com:443");
  EXPECT_EQ(policy.rule(RuleId{0}).id, "#0");
  EXPECT_EQ(policy.rule(RuleId{RuleId::kDefault}).effect, kDeny);
  EXPECT_EQ(policy.rule(RuleId{RuleId::kBuiltIn}).effect, kDeny);
}

}  // namespace
}  // namespace sluice::policy
