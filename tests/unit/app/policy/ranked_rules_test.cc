#include "app/policy/ranked_rules.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace sluice::app {
namespace {

using policy::Effect;

policy::EgressDraft draft_of(Effect fallback,
                             const std::vector<std::pair<Effect, std::string_view>>& rules) {
  policy::EgressDraft draft{.fallback = fallback};
  for (const auto& [effect, target] : rules) {
    draft.rules.push_back({policy::parse_egress_target(target).value(),
                           {.id = "f:" + std::to_string(draft.rules.size()), .effect = effect}});
  }
  return draft;
}

TEST(RankedRules, TheMostSpecificComesFirst) {
  std::string order;
  for (const ShownRule& rule :
       rank_rules(draft_of(Effect::kDeny, {{Effect::kAllow, "*"},
                                           {Effect::kAllow, "@public:443"},
                                           {Effect::kAllow, "*.a.test"},
                                           {Effect::kDeny, "b.a.test"},
                                           {Effect::kAllow, "b.a.test"},
                                           {Effect::kAllow, "b.a.test:22"},
                                           {Effect::kAllow, "x*.a.test"},
                                           {Effect::kAllow, "10.0.0.0/8"},
                                           {Effect::kAllow, "10.1.0.0/16"}}))) {
    order += std::string(to_string(rule.effect)) + " " + rule.target + "\n";
  }
  EXPECT_EQ(order,
            "allow b.a.test:22\ndeny b.a.test\nallow b.a.test\nallow x*.a.test\nallow *.a.test\n"
            "allow *\nallow 10.1.0.0/16\nallow 10.0.0.0/8\nallow @public:443\n");
}

TEST(RankedRules, AreExplainedAsTextAndAsJson) {
  const auto draft = draft_of(Effect::kDeny, {{Effect::kAllow, "a.test"}});
  EXPECT_EQ(explain_text(draft),
            "names, the most specific first:\n  allow  a.test  f:0\n"
            "addresses, the most specific first:\n  none\n"
            "always denied unless a rule as specific allows it: @link-local, @metadata\n"
            "what no rule speaks of: deny\n");
  EXPECT_NE(explain_json(draft).find("\"target\": \"a.test\""), std::string::npos);
}

TEST(RankedRules, ADifferenceIsOfEffectsTargetsAndTheDefault) {
  const auto before =
      draft_of(Effect::kDeny, {{Effect::kAllow, "a.test"}, {Effect::kAllow, "b.test"}});
  const auto after =
      draft_of(Effect::kAllow, {{Effect::kAllow, "b.test"}, {Effect::kDeny, "a.test"}});
  EXPECT_EQ(difference(before, before), "");
  EXPECT_EQ(difference(before, after),
            "- default deny\n+ default allow\n- allow a.test (f:0)\n+ deny a.test (f:1)\n");
}

}  // namespace
}  // namespace sluice::app
