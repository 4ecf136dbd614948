#include "app/compat/getopt_words.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace sluice::app {
namespace {

using Words = std::vector<std::string>;
using Options = std::vector<std::pair<std::size_t, std::string>>;

const std::vector<GetoptOption> kOptions{
    {"size", 's', true}, {"quiet", 'q', false}, {"sizes-of-all", 0, false}};

struct Taken {
  Options options;
  Words others;
  bool refused = false;
};

Taken take(const std::vector<const char*>& words, GetoptWordsAre words_are) {
  GetoptWords getopt(words, kOptions, words_are);
  Taken taken;
  while (true) {
    const auto found = getopt.next();
    if (!found) {
      EXPECT_EQ(found.error().exit_code, 1);
      taken.refused = true;
      return taken;
    }
    if (!*found) break;
    taken.options.emplace_back((*found)->number, (*found)->text);
  }
  taken.others = getopt.others();
  return taken;
}

TEST(GetoptWords, OptionsComeByTheirNumber) {
  const auto taken = take({"program", "-qs5", "--size=6", "--qui", "-s", "7", "--sizes-of-all"},
                          GetoptWordsAre::kAnywhere);
  EXPECT_EQ(taken.options, (Options{{1, ""}, {0, "5"}, {0, "6"}, {1, ""}, {0, "7"}, {2, ""}}));
  EXPECT_TRUE(taken.others.empty());
}

TEST(GetoptWords, WordsThatAreNoOptionsStandWhereTheyMay) {
  const std::vector<const char*> words{"program", "-q", "one", "-q", "--", "-q"};
  const auto anywhere = take(words, GetoptWordsAre::kAnywhere);
  EXPECT_EQ(anywhere.options.size(), 2U);
  EXPECT_EQ(anywhere.others, (Words{"one", "-q"}));
  const auto last = take(words, GetoptWordsAre::kLast);
  EXPECT_EQ(last.options.size(), 1U);
  EXPECT_EQ(last.others, (Words{"one", "-q", "--", "-q"}));
}

TEST(GetoptWords, WhatIsNoOptionIsRefused) {
  for (const char* const wrong : {"-x", "--loud", "--quiet=5", "-s"}) {
    EXPECT_TRUE(take({"program", wrong}, GetoptWordsAre::kAnywhere).refused) << wrong;
  }
}

}  // namespace
}  // namespace sluice::app
