#include "config/egress/target_text.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::config {
namespace {

using policy::Effect;

std::string shown(std::string_view text, Effect effect = Effect::kAllow) {
  const auto target = read_target(text, effect);
  if (!target) return "error: " + target.error().expected;
  return to_string(target->target) + (target->warning.empty() ? "" : " !");
}

TEST(TargetText, OtherAlphabetsBecomeALabels) {
  EXPECT_EQ(shown("bücher.example:443"), "xn--bcher-kva.example:443");
  EXPECT_EQ(shown("*.BÜCHER.example"), "*.xn--bcher-kva.example");
  EXPECT_EQ(shown(".bücher.example"), ".xn--bcher-kva.example");
  EXPECT_EQ(shown("api-*.bücher.example"), "api-*.xn--bcher-kva.example");
  // Not the transitional form, which would be fass.de.
  EXPECT_EQ(shown("faß.de"), "xn--fa-hia.de");
  // A Cyrillic letter makes another name.
  EXPECT_EQ(shown("\xd0\xbek.test"), "xn--k-0tb.test");
  EXPECT_TRUE(shown("ü*.example.com").starts_with("error"));
}

TEST(TargetText, WildcardsBelowAPublicSuffixAreRefusedWhereTheyAllow) {
  for (const char* text : {"*.com", "*.co.uk", ".com", "a*.com", "*.com:443"}) {
    EXPECT_TRUE(shown(text).starts_with("error: a narrower one")) << text;
    EXPECT_EQ(shown(text, Effect::kDeny), text);
  }
  EXPECT_EQ(shown("*.example.com"), "*.example.com");
  EXPECT_EQ(shown("*.corp"), "*.corp");
  EXPECT_EQ(shown("com"), "com");
  EXPECT_EQ(shown("*"), "*");
}

TEST(TargetText, WildcardsBelowSharedHostsBringAWarning) {
  EXPECT_EQ(shown("*.github.io"), "*.github.io !");
  EXPECT_EQ(shown("*.storage.googleapis.com"), "*.storage.googleapis.com !");
  EXPECT_EQ(shown("*.blob.core.windows.net"), "*.blob.core.windows.net !");
  EXPECT_EQ(shown("me.github.io"), "me.github.io");
  EXPECT_EQ(shown("*.github.io", Effect::kDeny), "*.github.io");
}

}  // namespace
}  // namespace sluice::config
