#include "policy/egress/meter_book.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::policy {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow{7s};

struct Written {
  std::string id;
  std::string target;
  std::optional<TrafficLimit> limit{};
};

EgressPolicy made(const std::vector<Written>& rules, const TrafficLimit& run = {}) {
  EgressDraft draft{.fallback = Effect::kDeny, .limit = run};
  for (const Written& rule : rules) {
    draft.rules.push_back(
        {parse_egress_target(rule.target).value(), {.id = rule.id, .limit = rule.limit}});
  }
  return EgressPolicy::compile(std::move(draft)).value();
}

constexpr TrafficLimit kQuota{.to_host = {.bytes = 1000}};
constexpr TrafficLimit kWide{.to_host = {.bytes = 5000}};

TEST(MeterBook, WithoutLimitsThereAreNoMeters) {
  MeterBook book;
  book.bind(made({{"a", "a.test"}}));
  EXPECT_FALSE(book.table().any());
  EXPECT_EQ(book.table().of(RuleId{0}), nullptr);
  EXPECT_EQ(book.table().of(RuleId{}), nullptr);
}

TEST(MeterBook, TargetsOfARuleShareAMeterAndOthersHaveTheirOwn) {
  MeterBook book;
  book.bind(made({{"a", "a.test", kQuota},
                  {"none", "n.test"},
                  {"a", "b.test", kQuota},
                  {"c", "c.test", kQuota}}));
  const MeterTable& table = book.table();
  EXPECT_TRUE(table.any());
  EXPECT_EQ(table.of(RuleId{0}), table.of(RuleId{2}));
  EXPECT_NE(table.of(RuleId{0}), table.of(RuleId{3}));
  EXPECT_EQ(table.of(RuleId{1}), nullptr);
  EXPECT_EQ(table.of_run(), nullptr);
}

TEST(MeterBook, TheRunStandsAroundAllRules) {
  MeterBook book;
  book.bind(made({{"a", "a.test", kQuota}, {"none", "n.test"}}, kWide));
  const MeterTable& table = book.table();
  EXPECT_EQ(table.of(RuleId{1}), table.of_run());
  EXPECT_EQ(table.of(RuleId{}), table.of_run());
  EXPECT_EQ(table.of(RuleId{0})->outer(), table.of_run());
}

TEST(MeterBook, WhatHasPassedStaysWhenThePolicyChanges) {
  MeterBook book;
  book.bind(made({{"a", "a.test", kQuota}}));
  Meter* const first = book.table().of(RuleId{0});
  first->to_host().settle(first->to_host().claim(700, kNow), 700, kNow);
  EXPECT_TRUE(first->enter());

  book.bind(made({{"new", "n.test"}, {"a", "a.test", kQuota}}));
  EXPECT_EQ(book.table().of(RuleId{1}), first) << "nothing about it has changed";

  book.bind(made({{"a", "a.test", kWide}}));
  Meter* const wider = book.table().of(RuleId{0});
  EXPECT_NE(wider, first);
  EXPECT_EQ(wider->use().flows, 1u);
  EXPECT_EQ(first->to_host().claim(9999, kNow), 300u)
      << "the old one is there for those who use it";
  first->to_host().settle(300, 0, kNow);
  EXPECT_EQ(wider->to_host().claim(9999, kNow), 4300u);
  wider->to_host().settle(4300, 0, kNow);

  book.bind(made({}));
  book.bind(made({{"a", "a.test", kQuota}}));
  EXPECT_EQ(book.table().of(RuleId{0})->to_host().claim(9999, kNow), 300u) << "nor by going";
}

TEST(MeterBook, AnotherLimitOfTheRunIsAroundTheSameRules) {
  MeterBook book;
  book.bind(made({{"a", "a.test", kQuota}}, kWide));
  book.bind(made({{"a", "a.test", kQuota}}, kQuota));
  EXPECT_EQ(book.table().of(RuleId{0})->outer(), book.table().of_run());
  book.bind(made({{"a", "a.test", kQuota}}));
  EXPECT_EQ(book.table().of(RuleId{0})->outer(), nullptr);
}

}  // namespace
}  // namespace sluice::policy
