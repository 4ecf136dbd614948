#include "web/page_headers.h"

#include <gtest/gtest.h>

#include <string_view>

namespace sluice::web {
namespace {

TEST(PageHeaders, ThePolicyAllowsNothingFromElsewhere) {
  const std::string_view policy = kContentPolicy;
  EXPECT_TRUE(policy.starts_with("default-src 'none';"));
  for (const std::string_view word : {"unsafe", "*", "data:", "blob:", "http"}) {
    EXPECT_EQ(policy.find(word), std::string_view::npos) << word;
  }
  EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string_view::npos);
}

}  // namespace
}  // namespace sluice::web
