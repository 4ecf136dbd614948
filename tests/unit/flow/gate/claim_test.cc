#include "flow/gate/claim.h"

#include <gtest/gtest.h>

namespace sluice::flow {
namespace {

TEST(Claim, EachKindHasAWord) {
  EXPECT_EQ(to_string(Claim::Kind::kTls), "tls");
  EXPECT_EQ(to_string(Claim::Kind::kHttp), "http");
  EXPECT_EQ(to_string(Claim::Kind::kOpaque), "opaque");
}

}  // namespace
}  // namespace sluice::flow
