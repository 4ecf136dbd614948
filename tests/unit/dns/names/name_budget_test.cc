#include "dns/names/name_budget.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sluice::dns {
namespace {

using namespace std::chrono_literals;

wire::DomainName name(std::string_view text) { return *wire::DomainName::from_text(text); }

class NameBudgetTest : public testing::Test {
 protected:
  bool spend(std::string_view text, std::string_view domain = "wild.test") {
    return budget_.spend(name(domain), name(text), limits_, now_);
  }

  NameBudget budget_{SipKey{1, 2}};
  BudgetLimits limits_{.names = 3, .bytes = 100, .per = 10min};
  Instant now_{1000s};
};

TEST_F(NameBudgetTest, ANameCountsOnce) {
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(spend(i % 2 == 0 ? "a.wild.test" : "A.wild.TEST"));
  EXPECT_TRUE(spend("b.wild.test"));
  EXPECT_TRUE(spend("c.wild.test"));
  EXPECT_FALSE(spend("d.wild.test"));
  EXPECT_TRUE(spend("a.wild.test")) << "it was counted before";
}

TEST_F(NameBudgetTest, DomainsAreApart) {
  for (const char* text : {"a", "b", "c"}) EXPECT_TRUE(spend(fmt::format("{}.wild.test", text)));
  EXPECT_FALSE(spend("d.wild.test"));
  EXPECT_TRUE(spend("d.other.test", "other.test"));
}

TEST_F(NameBudgetTest, LabelBytesCountWhateverTheyLookLike) {
  const std::string label(60, 'a');
  EXPECT_TRUE(spend(label + ".wild.test"));
  EXPECT_FALSE(spend("b" + label + ".wild.test")) << "61 of 100 are spent";
  EXPECT_TRUE(spend("short.wild.test"));
}

TEST_F(NameBudgetTest, TimeGivesItBack) {
  for (const char* text : {"a", "b", "c"}) EXPECT_TRUE(spend(fmt::format("{}.wild.test", text)));
  now_ += 9min;
  EXPECT_FALSE(spend("d.wild.test"));
  now_ += 1min;
  EXPECT_TRUE(spend("d.wild.test"));
}

TEST_F(NameBudgetTest, TheDomainsAreBoundedAndAFurtherOneHasNothing) {
  for (std::size_t i = 0; i < NameBudget::kDomainsMax; ++i) {
    EXPECT_TRUE(spend(fmt::format("x.d{}.test", i), fmt::format("d{}.test", i)));
  }
  EXPECT_FALSE(spend("x.more.test", "more.test"));
  EXPECT_EQ(budget_.domains(), NameBudget::kDomainsMax);
  now_ += 10min;
  EXPECT_TRUE(spend("x.more.test", "more.test"));
  EXPECT_EQ(budget_.domains(), 1u);
}

TEST_F(NameBudgetTest, TheNamesAreBoundedOverAllDomains) {
  limits_ = {.names = 1'000'000, .bytes = 1'000'000'000, .per = 10min};
  for (std::size_t i = 0; i < NameBudget::kNamesMax; ++i) {
    ASSERT_TRUE(spend(fmt::format("x{}.wild.test", i)));
  }
  EXPECT_FALSE(spend("more.wild.test"));
}

}  // namespace
}  // namespace sluice::dns
