#include "telemetry/refused_names.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::telemetry {
namespace {

TEST(RefusedNames, AreSummedAndTheMostAskedForComesFirst) {
  RefusedNames names;
  EXPECT_EQ(names.text(), "");
  names.add("b.test", "name-denied");
  EXPECT_EQ(names.text(), "1 name refused: b.test ×1 (name-denied)");
  names.add("a.test", "name-unlisted");
  names.add("a.test", "name-unlisted");
  EXPECT_EQ(names.text(),
            "2 names refused: a.test ×2 (name-unlisted), b.test ×1 (name-denied); allow with "
            "--allow a.test");
}

TEST(RefusedNames, OfSeveralWorkersAreOne) {
  RefusedNames ours;
  ours.add("a.test", "name-unlisted");
  RefusedNames theirs;
  theirs.add("a.test", "name-unlisted", 3);
  ours.add(theirs);
  EXPECT_EQ(ours.text(), "1 name refused: a.test ×4 (name-unlisted); allow with --allow a.test");
}

TEST(RefusedNames, AreBounded) {
  RefusedNames names;
  for (int i = 0; i < 10'000; ++i) names.add("n" + std::to_string(i) + ".test", "name-denied");
  const std::string text = names.text();
  EXPECT_TRUE(text.starts_with("64 or more names refused: "));
  EXPECT_TRUE(text.ends_with(", …"));
  EXPECT_LT(text.size(), 300u);
}

}  // namespace
}  // namespace sluice::telemetry
