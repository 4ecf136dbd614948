#include "policy/egress/name_pattern.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::policy {
namespace {

std::string round_trip(std::string_view text) {
  const auto pattern = NamePattern::parse(text);
  return pattern ? to_string(*pattern) : "error: " + pattern.error().expected;
}

bool matches(std::string_view pattern, std::string_view name) {
  return NamePattern::parse(pattern).value().matches(wire::DomainName::from_text(name).value());
}

TEST(NamePattern, IsReadAndPrintedInLowerCaseWithoutAFinalDot) {
  EXPECT_EQ(round_trip("Example.COM."), "example.com");
  EXPECT_EQ(round_trip("*.Example.com"), "*.example.com");
  EXPECT_EQ(round_trip(".example.com."), ".example.com");
  EXPECT_EQ(round_trip("api-*.example.com"), "api-*.example.com");
  EXPECT_EQ(round_trip("*-PROD.example.com"), "*-prod.example.com");
  EXPECT_EQ(round_trip("a*z.example.com"), "a*z.example.com");
  EXPECT_EQ(round_trip("*"), "*");
  EXPECT_EQ(round_trip("db"), "db");
  EXPECT_EQ(round_trip("_dmarc.example.com"), "_dmarc.example.com");
  EXPECT_EQ(round_trip("xn--80ak6aa92e.com"), "xn--80ak6aa92e.com");
}

TEST(NamePattern, RefusesWhatIsNoPattern) {
  for (const std::string text : {"",
                                 ".",
                                 "..",
                                 "example..com",
                                 "example.com..",
                                 "..example.com",
                                 "*.*.example.com",
                                 "a.*.com",
                                 "**.example.com",
                                 "a**.example.com",
                                 "*a*.example.com",
                                 "api-*",
                                 "*.",
                                 "10.0.0",
                                 "1.2.3.4.5",
                                 "exa mple.com",
                                 "ok\\.test",
                                 "example.com/x",
                                 "[::1]",
                                 "\xd0\xbek.test",
                                 "example.123"}) {
    EXPECT_FALSE(NamePattern::parse(text).has_value()) << text;
  }
  EXPECT_FALSE(NamePattern::parse(std::string(64, 'a') + ".com").has_value());
  EXPECT_TRUE(NamePattern::parse(std::string(63, 'a') + ".com").has_value());
  EXPECT_FALSE(NamePattern::parse(std::string(63, 'a') + "*.com").has_value());
  std::string longest;
  for (int i = 0; i < 4; ++i) longest += std::string(62, 'a') + ".";
  EXPECT_FALSE(NamePattern::parse(longest + "aaa").has_value());
  EXPECT_TRUE(NamePattern::parse(longest + "a").has_value());
}

TEST(NamePattern, TheNameItself) {
  EXPECT_TRUE(matches("example.com", "EXAMPLE.com."));
  EXPECT_FALSE(matches("example.com", "a.example.com"));
  EXPECT_FALSE(matches("example.com", "com"));
  EXPECT_FALSE(matches("example.com", "example\\.com.test"));
}

TEST(NamePattern, BelowANameIsAtAnyDepthAndNotTheNameItself) {
  EXPECT_TRUE(matches("*.example.com", "a.example.com"));
  EXPECT_TRUE(matches("*.example.com", "a.b.example.com"));
  EXPECT_FALSE(matches("*.example.com", "example.com"));
  EXPECT_FALSE(matches("*.example.com", "badexample.com"));
  EXPECT_TRUE(matches(".example.com", "example.com"));
  EXPECT_TRUE(matches(".example.com", "a.b.EXAMPLE.com"));
  EXPECT_FALSE(matches(".example.com", "example.org"));
}

TEST(NamePattern, AStarWithinALabelIsForThatLabelOnly) {
  EXPECT_TRUE(matches("api-*.example.com", "API-1.example.com"));
  EXPECT_TRUE(matches("api-*.example.com", "api-.example.com"));
  EXPECT_FALSE(matches("api-*.example.com", "api-1.x.example.com"));
  EXPECT_FALSE(matches("api-*.example.com", "x.api-1.example.com"));
  EXPECT_FALSE(matches("api-*.example.com", "example.com"));
  EXPECT_TRUE(matches("a*a.example.com", "aa.example.com"));
  EXPECT_FALSE(matches("a*a.example.com", "a.example.com"));
}

TEST(NamePattern, AStarAloneIsForEveryNameButTheRoot) {
  EXPECT_TRUE(matches("*", "com"));
  EXPECT_TRUE(matches("*", "a.b.c"));
  EXPECT_FALSE(matches("*", "."));
}

}  // namespace
}  // namespace sluice::policy
