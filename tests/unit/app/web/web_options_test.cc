#include "app/web/web_options.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::app {
namespace {

std::expected<WebOptions, EarlyExit> parse(std::vector<const char*> words) {
  return parse_web_options(words);
}

TEST(WebOptions, APortOfLoopback) {
  EXPECT_EQ(wire::to_string(parse({})->listen), "127.0.0.1:0");
  EXPECT_EQ(wire::to_string(parse({"--listen", "8080"})->listen), "127.0.0.1:8080");
  EXPECT_EQ(wire::to_string(parse({"--listen", "[::1]:80"})->listen), "[::1]:80");
  EXPECT_EQ(wire::to_string(parse({"--listen=127.0.0.2:0"})->listen), "127.0.0.2:0");
}

TEST(WebOptions, NothingButLoopback) {
  for (const char* const text : {"0.0.0.0:80", "192.0.2.1:80", "[::]:80", "eighty", ":", ""}) {
    const auto options = parse({"--listen", text});
    ASSERT_FALSE(options.has_value()) << text;
    EXPECT_EQ(options.error().exit_code, 2) << text;
  }
  EXPECT_FALSE(parse({"k3f9wa"}).has_value());
}

TEST(WebOptions, HelpIsAnEarlyExit) { EXPECT_EQ(parse({"--help"}).error().exit_code, 0); }

}  // namespace
}  // namespace sluice::app
