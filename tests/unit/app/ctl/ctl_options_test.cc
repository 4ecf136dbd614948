#include "app/ctl/ctl_options.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::app {
namespace {

using control::Verb;
using Words = std::vector<const char*>;

CtlOptions parsed(const Words& words) {
  const auto options = parse_ctl_options(words);
  EXPECT_TRUE(options.has_value());
  return options.value_or(CtlOptions{});
}

std::string mistake(const Words& words) {
  const auto options = parse_ctl_options(words);
  EXPECT_FALSE(options.has_value());
  if (options) return "";
  EXPECT_EQ(options.error().exit_code, 2);
  return options.error().text;
}

TEST(CtlOptions, WithoutARequestRunsAreListed) {
  EXPECT_TRUE(parsed({}).list);
  EXPECT_TRUE(parsed({"--json"}).list);
  EXPECT_TRUE(parsed({"--json"}).json);
}

TEST(CtlOptions, TheRunMayBeLeftOut) {
  const CtlOptions all = parsed({"flows"});
  EXPECT_EQ(all.run, "");
  EXPECT_EQ(all.verb, Verb::kFlows);
  const CtlOptions one = parsed({"k3f9wa", "deny", "10.0.0.0/8", "--json"});
  EXPECT_EQ(one.run, "k3f9wa");
  EXPECT_EQ(one.verb, Verb::kDeny);
  EXPECT_EQ(one.what, "10.0.0.0/8");
  EXPECT_TRUE(one.json);
}

TEST(CtlOptions, ARunAloneIsAskedHowItStands) {
  const CtlOptions options = parsed({"k3f9wa"});
  EXPECT_EQ(options.run, "k3f9wa");
  EXPECT_EQ(options.verb, Verb::kStatus);
  EXPECT_FALSE(options.list);
}

TEST(CtlOptions, AnAnswerHasItsQuestion) {
  const CtlOptions options = parsed({"k3f9wa", "approve", "3", "always", "domain"});
  ASSERT_TRUE(options.given.has_value());
  EXPECT_EQ(options.run, "k3f9wa");
  EXPECT_EQ(options.given->verb, Verb::kApprove);
  EXPECT_EQ(options.given->question, 3u);
  EXPECT_EQ(options.given->scope, "always");
  EXPECT_EQ(options.given->of, "domain");
  EXPECT_TRUE(parsed({"answer"}).answers);
  EXPECT_EQ(parsed({"k3f9wa", "answer"}).run, "k3f9wa");
  EXPECT_NE(mistake({"approve"}).find("approve: ID is missing"), std::string::npos);
  EXPECT_NE(mistake({"refuse", "3", "ever"}).find("'ever'"), std::string::npos);
}

TEST(CtlOptions, MistakesAreNamed) {
  EXPECT_NE(mistake({"k3f9wa", "flow"}).find("did you mean 'flows'?"), std::string::npos);
  EXPECT_NE(mistake({"statsu"}).find("did you mean 'status'?"), std::string::npos);
  EXPECT_NE(mistake({"kill"}).find("kill: FLOW is missing"), std::string::npos);
  EXPECT_NE(mistake({"status", "k3f9wa"}).find("'k3f9wa' is too much"), std::string::npos);
  EXPECT_NE(mistake({"--colour"}).find("--colour"), std::string::npos);
}

}  // namespace
}  // namespace sluice::app
