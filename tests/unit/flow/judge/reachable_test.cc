#include "flow/judge/reachable.h"

#include <gtest/gtest.h>

#include "unit/flow/judge/names_fixture.h"

namespace sluice::flow::test {
namespace {

TEST(Reachable, WhatAnAddressCarriesMustBePublicToo) {
  EXPECT_TRUE(is_public_through(ip("203.0.113.1"), {}));
  EXPECT_TRUE(is_public_through(ip("2001:db8::1"), {}));
  EXPECT_TRUE(is_public_through(ip("64:ff9b::203.0.113.1"), {}));
  EXPECT_FALSE(is_public_through(ip("10.0.0.1"), {}));
  EXPECT_FALSE(is_public_through(ip("64:ff9b::10.0.0.1"), {}));
  EXPECT_FALSE(is_public_through(ip("2002:a00:1::1"), {}));
}

TEST(Reachable, ARuleListsAnAddressOrAllThatItCarries) {
  policy::EgressRule rule;
  EXPECT_FALSE(may_lead_to(rule, ip("10.0.0.1"), {}));
  rule.private_addresses = {*wire::parse_prefix("10.0.0.0/8"), *wire::parse_prefix("64:ff9b::/96")};
  EXPECT_TRUE(may_lead_to(rule, ip("10.0.0.1"), {}));
  EXPECT_FALSE(may_lead_to(rule, ip("192.168.0.1"), {}));
  EXPECT_TRUE(may_lead_to(rule, ip("64:ff9b::10.0.0.1"), {}));
  EXPECT_FALSE(may_lead_to(rule, ip("64:ff9b::192.168.0.1"), {}));
}

TEST(Reachable, OnlyRulesOnTheseAddressesOpenThem) {
  using policy::Effect;
  const auto policy = make_policy(Effect::kDeny, {{Effect::kAllow, "10.1.0.0/16:5432"},
                                                  {Effect::kAllow, "0.0.0.0/0"},
                                                  {Effect::kDeny, "10.2.0.0/16"}});
  EXPECT_TRUE(is_opened(policy, ip("10.1.0.1")));
  EXPECT_FALSE(is_opened(policy, ip("10.2.0.1")));
  EXPECT_FALSE(is_opened(policy, ip("10.3.0.1")));
}

}  // namespace
}  // namespace sluice::flow::test
