#include "driver/rule_hits.h"

#include <gtest/gtest.h>

namespace sluice::driver {
namespace {

TEST(RuleHits, OfEachRuleThoseThatItDecided) {
  RuleHits hits;
  hits.count({3});
  hits.count({3});
  hits.count({});
  hits.count({policy::RuleId::kBuiltIn});
  RuleHits others;
  others.count({5});
  hits.add(others);
  EXPECT_EQ(hits.of(3), 2u);
  EXPECT_EQ(hits.of(5), 1u);
  EXPECT_EQ(hits.of(4), 0u);
  EXPECT_EQ(hits.of(1000), 0u);
  hits.clear();
  EXPECT_EQ(hits.of(3), 0u);
}

}  // namespace
}  // namespace sluice::driver
