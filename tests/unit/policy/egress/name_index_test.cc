#include "policy/egress/name_index.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::policy {
namespace {

// Rules that allow, numbered in order.
class Index {
 public:
  explicit Index(const std::vector<std::string>& texts) {
    std::vector<EgressTarget> targets;
    for (const std::string& text : texts) targets.push_back(parse_egress_target(text).value());
    std::vector<NameIndex::Rule> rules;
    for (const EgressTarget& target : targets) {
      const RuleId id{static_cast<std::uint32_t>(rules.size())};
      rules.push_back({target.name(), scope_of(target, Effect::kAllow), {Effect::kAllow, id}});
    }
    index_ = NameIndex(rules);
  }
  // The rule's number, or -1.
  [[nodiscard]] int operator()(const std::string& name) const {
    const auto ruled =
        index_.find(wire::DomainName::from_text(name).value(), Protocol::kTcp, wire::Port{443});
    return ruled ? static_cast<int>(ruled->rule.value) : -1;
  }

 private:
  NameIndex index_;
};

TEST(NameIndex, OfNothingFindsNothing) {
  EXPECT_EQ(Index({})("a.test"), -1);
  EXPECT_EQ(Index({})("."), -1);
  EXPECT_TRUE(NameIndex().empty());
}

TEST(NameIndex, OfStarsInALabelTheMoreLettersDecideThenThoseInFront) {
  const Index index({"a*.t", "*b.t", "a*b.t", "aa*.t", "*bb.t"});
  EXPECT_EQ(index("ax.t"), 0);
  EXPECT_EQ(index("xb.t"), 1);
  EXPECT_EQ(index("axb.t"), 2);
  EXPECT_EQ(index("aaxbb.t"), 3);
  EXPECT_EQ(index("xbb.t"), 4);
  EXPECT_EQ(index("aaxb.t"), 3);
  EXPECT_EQ(index("x.t"), -1);
  EXPECT_EQ(index("ax.x.t"), -1);
}

TEST(NameIndex, FindsOneOfManyRules) {
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; ++i) texts.push_back("h" + std::to_string(i) + ".example.test");
  const Index index(texts);
  EXPECT_EQ(index("h0.example.test"), 0);
  EXPECT_EQ(index("H4999.example.TEST"), 4999);
  EXPECT_EQ(index("h5000.example.test"), -1);
  EXPECT_EQ(index("example.test"), -1);
}

TEST(NameIndex, TheDeepestNameHasAPlace) {
  std::string deep;
  for (int i = 0; i < 126; ++i) deep += "a.";
  const Index index({deep + "t", "*." + deep.substr(2) + "t", "*"});
  EXPECT_EQ(index(deep + "t"), 0);
  EXPECT_EQ(index("b." + deep.substr(2) + "t"), 1);
  EXPECT_EQ(index(deep + "u"), 2);
}

}  // namespace
}  // namespace sluice::policy
