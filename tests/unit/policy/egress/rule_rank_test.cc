#include "policy/egress/rule_rank.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice::policy {
namespace {

TEST(RuleRank, PlacesAreOfTheDraft) {
  EgressDraft draft;
  for (const std::string_view target :
       {"10.0.0.0/8", "*.a.test", "b.a.test", "10.1.0.0/16", "*", "b.a.test:22"}) {
    draft.rules.push_back({parse_egress_target(target).value(), {.id = std::string(target)}});
  }
  EXPECT_EQ(ranked_places(draft), (std::vector<std::size_t>{5, 2, 1, 4, 3, 0}));
  EXPECT_TRUE(ranked_places({}).empty());
}

}  // namespace
}  // namespace sluice::policy
