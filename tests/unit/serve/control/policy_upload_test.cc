#include "serve/control/policy_upload.h"

#include <gtest/gtest.h>

namespace sluice::serve {
namespace {

control::Request part(std::uint64_t number, std::uint64_t of, std::string text,
                      std::uint64_t upload = 7) {
  return {.verb = control::Verb::kReload,
          .what = std::move(text),
          .part = number,
          .parts = of,
          .upload = upload};
}

constexpr const char* kSettings = "{\"default\":\"deny\"}\n";
constexpr const char* kRule = "{\"effect\":\"allow\",\"target\":\"a.test\",\"id\":\"x\"}\n";

TEST(PolicyUpload, IsWholeWithTheLastPart) {
  PolicyUpload upload;
  const auto first = upload.add(part(0, 2, kSettings));
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(first->has_value());
  const auto last = upload.add(part(1, 2, std::string(kRule) + kRule));
  ASSERT_TRUE(last.has_value() && last->has_value());
  EXPECT_EQ((*last)->rules.size(), 2u);
  EXPECT_EQ((*last)->fallback, policy::Effect::kDeny);
}

TEST(PolicyUpload, PartsOfTwoDoNotMix) {
  PolicyUpload upload;
  ASSERT_TRUE(upload.add(part(0, 2, kSettings, 1)).has_value());
  ASSERT_TRUE(upload.add(part(0, 2, kSettings, 2)).has_value());
  EXPECT_FALSE(upload.add(part(1, 2, kRule, 1)).has_value());
  EXPECT_TRUE(upload.add(part(1, 2, kRule, 2)).has_value());
}

TEST(PolicyUpload, OrderMattersAndMistakesEndIt) {
  PolicyUpload upload;
  EXPECT_FALSE(upload.add(part(1, 2, kRule)).has_value());
  EXPECT_FALSE(upload.add(part(0, 0, kSettings)).has_value());
  EXPECT_FALSE(upload.add(part(0, 2, "{\"colour\":1}\n")).has_value());
  EXPECT_FALSE(upload.add(part(1, 2, kRule)).has_value());
  EXPECT_FALSE(upload.add(part(0, 1, "")).has_value());
}

}  // namespace
}  // namespace sluice::serve
