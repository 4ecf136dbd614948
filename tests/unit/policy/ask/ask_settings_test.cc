#include "policy/ask/ask_settings.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

TEST(AskSettingsTest, WordsReadBackAsWhatTheyStandFor) {
  for (const auto scope : {AnswerScope::kOnce, AnswerScope::kRun, AnswerScope::kAlways}) {
    EXPECT_EQ(parse_scope(to_string(scope)), scope);
  }
  for (const auto breadth :
       {AnswerBreadth::kNamePort, AnswerBreadth::kName, AnswerBreadth::kDomain}) {
    EXPECT_EQ(parse_breadth(to_string(breadth)), breadth);
  }
  EXPECT_FALSE(parse_scope("ever"));
  EXPECT_FALSE(parse_breadth("once"));
}

}  // namespace
}  // namespace sluice::policy
