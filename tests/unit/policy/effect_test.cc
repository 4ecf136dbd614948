#include "policy/effect.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

TEST(Effect, TheGreaterOneWinsATie) {
  EXPECT_LT(Effect::kAllow, Effect::kAsk);
  EXPECT_LT(Effect::kAsk, Effect::kDeny);
  EXPECT_EQ(to_string(Effect::kAllow), "allow");
  EXPECT_EQ(to_string(Effect::kAsk), "ask");
  EXPECT_EQ(to_string(Effect::kDeny), "deny");
}

TEST(Effect, WhoSaysNothingIsRefusedByTheDefault) {
  EXPECT_EQ(Ruled{}, (Ruled{Effect::kDeny, RuleId{RuleId::kDefault}}));
}

}  // namespace
}  // namespace sluice::policy
