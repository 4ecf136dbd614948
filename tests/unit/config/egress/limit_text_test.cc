#include "config/egress/limit_text.h"

#include <gtest/gtest.h>

namespace sluice::config {
namespace {

using policy::TrafficLimit;

TEST(LimitText, TakesEveryKeyAndTheLastOneCounts) {
  TrafficLimit limit;
  ASSERT_TRUE(add_limit_text("to-host=2GiB,from-host=5000", limit));
  ASSERT_TRUE(add_limit_text("rate=1MiB/s", limit));
  ASSERT_TRUE(add_limit_text("to-host-rate=64KiB/s", limit));
  EXPECT_EQ(limit, (TrafficLimit{.to_host = {.bytes = 2ULL << 30, .rate = 65'536},
                                 .from_host = {.bytes = 5000, .rate = 1 << 20}}));
  ASSERT_TRUE(add_limit_text("to-host=1KiB", limit));
  EXPECT_EQ(limit.to_host.bytes, 1024u);
}

TEST(LimitText, SaysWhatWasExpected) {
  for (const char* text : {"", "to-host", "to-host=", "to-host=x", "to-host=0", "flows=3",
                           "to-host=1KiB,", "=5", "rate=99999999TiB", "to_host=5"}) {
    TrafficLimit limit;
    const auto added = add_limit_text(text, limit);
    ASSERT_FALSE(added) << text;
    EXPECT_NE(added.error().find("to-host=2GiB"), std::string::npos);
  }
}

TEST(LimitText, IsWrittenAsItIsRead) {
  EXPECT_EQ(describe_limit({}), "");
  EXPECT_EQ(describe_limit({.to_host = {.bytes = 52'428'800, .rate = 1 << 20},
                            .from_host = {.rate = 1 << 20},
                            .flows = 8}),
            "to-host=50MiB, rate=1MiB/s, flows=8");
  EXPECT_EQ(describe_limit({.to_host = {.rate = 1000}}), "to-host-rate=1kB/s");
}

}  // namespace
}  // namespace sluice::config
