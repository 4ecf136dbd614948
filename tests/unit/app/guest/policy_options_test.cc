#include "app/guest/policy_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "app/options/command.h"

namespace sluice::app {
namespace {

using policy::Protocol;
using policy::Verdict;

GuestOptions options_of(const std::vector<const char*>& words) {
  const auto raw = split_arguments(kRunCommand, words);
  EXPECT_TRUE(raw.has_value());
  GuestOptions options;
  options.host_loopback = raw->has(OptionId::kHostLoopback);
  options.host_addresses = raw->has(OptionId::kHostAddresses);
  const auto read = read_policy_options(*raw, options);
  EXPECT_TRUE(read.has_value()) << read.error().text;
  return options;
}

// "allow --host-loopback", "deny default".
std::string said(const GuestOptions& options, const char* address, std::uint16_t port) {
  const auto policy =
      policy::EgressPolicy::compile(policy_for(options, flow::GuestNetwork{})).value();
  const auto ruled =
      policy.for_address(Protocol::kTcp, {wire::parse_ip(address).value(), wire::Port{port}});
  if (!ruled) return std::string(to_string(policy.default_effect())) + " default";
  return std::string(to_string(ruled->effect)) + " " + policy.rule(ruled->rule).id;
}

constexpr const char* kGateway = "10.0.2.2";

TEST(PolicyOptions, WithoutAPolicyNothingIsSaid) {
  const GuestOptions options = options_of({"--deny", "10.0.0.0/8", "x"});
  EXPECT_TRUE(options.policy_line.empty());
  EXPECT_EQ(options.policy.fallback, policy::Effect::kAllow);
  EXPECT_EQ(said(options, "192.0.2.1", 80), "allow default");
}

TEST(PolicyOptions, WhatHoldsIsSaid) {
  EXPECT_EQ(options_of({"--allow", "a.test", "x"}).policy_line, "default deny, 1 rule");
  EXPECT_EQ(options_of({"--deny", "a.test", "x"}).policy_line, "default allow, 1 rule");
  EXPECT_EQ(options_of({"--default", "deny", "x"}).policy_line, "default deny, 0 rules");
  EXPECT_EQ(options_of({"--allow", "*.github.io", "x"}).policy_warnings.size(), 1u);
}

TEST(PolicyOptions, TheHostsLoopbackIsOpenedByItsOptionOrByARule) {
  EXPECT_EQ(said(options_of({"--allow", "a.test", "x"}), kGateway, 80), "deny default");
  const GuestOptions by_option = options_of({"--allow", "a.test", "--host-loopback", "x"});
  EXPECT_EQ(said(by_option, kGateway, 80), "allow --host-loopback");
  const GuestOptions by_rule = options_of({"--allow", "@loopback:5432", "x"});
  EXPECT_TRUE(opens_loopback(by_rule.policy));
  EXPECT_EQ(said(by_rule, kGateway, 5432), "allow --allow #1");
  EXPECT_EQ(said(by_rule, "fd00::2", 5432), "allow --allow #1");
  EXPECT_FALSE(opens_loopback(options_of({"--deny", "@loopback", "x"}).policy));
}

TEST(PolicyOptions, ARuleForAPortOfTheLoopbackOpensNoOther) {
  const GuestOptions options = options_of({"--default", "allow", "--allow", "@loopback:5432", "x"});
  EXPECT_EQ(said(options, kGateway, 5432), "allow --allow #1");
  EXPECT_EQ(said(options, kGateway, 80), "deny other ports of @loopback");
  EXPECT_EQ(said(options_of({"--default", "allow", "--allow", "@loopback", "x"}), kGateway, 80),
            "allow --allow #1");
}

TEST(PolicyOptions, TheHostsAddressesAreOpenedByTheirOption) {
  const GuestOptions options = options_of({"--default", "deny", "--host-addresses", "x"});
  const policy::EgressDraft draft = policy_for(options, flow::GuestNetwork{});
  ASSERT_EQ(draft.rules.size(), 1u);
  EXPECT_EQ(to_string(draft.rules[0].target), "@host");
}

}  // namespace
}  // namespace sluice::app
