#include "serve/control/policy_rows.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sluice::serve {
namespace {

using Json = nlohmann::json;

std::vector<Json> lines_of(const fmt::memory_buffer& out) {
  std::vector<Json> lines;
  std::string_view text(out.data(), out.size());
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(Json::parse(text.substr(0, end)));
    text.remove_prefix(end + 1);
  }
  return lines;
}

class PolicyRowsTest : public testing::Test {
 protected:
  PolicyRowsTest() {
    draft.fallback = policy::Effect::kDeny;
    add("*.a.test");
    add("b.a.test");
  }
  void add(std::string_view target) {
    draft.rules.push_back({policy::parse_egress_target(target).value(),
                           {.id = "f:" + std::to_string(draft.rules.size()),
                            .effect = policy::Effect::kAllow,
                            .note = "why"}});
  }
  std::vector<Json> ask(std::uint64_t from = 0, std::uint64_t max = 0) {
    fmt::memory_buffer out;
    control::Answer answer(out, 1);
    rows.tell_rules({.verb = control::Verb::kRules, .from = from, .max = max},
                    {draft, generation, hits}, answer);
    return lines_of(out);
  }

  policy::EgressDraft draft;
  driver::RuleHits hits;
  std::uint64_t generation = 1;
  PolicyRows rows;
};

TEST_F(PolicyRowsTest, TheMostSpecificComesFirstWithWhatItHasDecided) {
  hits.count({1});
  const auto lines = ask();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["target"], "b.a.test");
  EXPECT_EQ(lines[0]["hits"], 1);
  EXPECT_EQ(lines[0]["rule"], "f:1");
  EXPECT_EQ(lines[0]["note"], "why");
  EXPECT_EQ(lines[1]["hits"], 0);
  EXPECT_EQ(lines[2]["default"], "deny");
  EXPECT_TRUE(lines[2]["next"].is_null());
}

TEST_F(PolicyRowsTest, RulesComeInPages) {
  const auto first = ask(0, 1);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[1]["next"], "1");
  EXPECT_EQ(ask(1, 1)[0]["target"], "*.a.test");
  EXPECT_EQ(ask(99).size(), 1u);
}

TEST_F(PolicyRowsTest, AnotherPolicyIsRankedAnew) {
  (void)ask();
  add("c.b.a.test");
  ++generation;
  EXPECT_EQ(ask()[0]["target"], "c.b.a.test");
}

TEST(PolicyRows, NamesThatWereRefusedAreTold) {
  telemetry::RefusedNames refused;
  refused.add("evil.test", "name-unlisted", 3);
  fmt::memory_buffer out;
  control::Answer answer(out, 1);
  PolicyRows::tell_refused(refused, answer);
  const auto lines = lines_of(out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["name"], "evil.test");
  EXPECT_EQ(lines[0]["reason"], "name-unlisted");
  EXPECT_EQ(lines[0]["count"], 3);
  EXPECT_EQ(lines[1]["others"], 0);
}

}  // namespace
}  // namespace sluice::serve
