#include "web/page_request.h"

#include <gtest/gtest.h>

namespace sluice::web {
namespace {

TEST(PageRequest, WhatIsOfTheRunGoesToTheRun) {
  const auto request = read_run_request(R"({"run":"k3f9wa","do":"kill","flow":"00c0"})");
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->run, "k3f9wa");
  EXPECT_EQ(request->line, "{\"do\":\"kill\",\"flow\":\"00c0\"}\n");
  EXPECT_FALSE(request->always);
  EXPECT_TRUE(read_run_request(R"({"run":"a","do":"approve","scope":"always"})")->always);
}

// A newline would be a second request.
TEST(PageRequest, ARequestIsOneLine) {
  const auto request = read_run_request("{\"run\":\"a\",\"do\":\"deny\",\"rule\":\"x\\n{}\xff\"}");
  if (request) {
    EXPECT_EQ(request->line.find('\n'), request->line.size() - 1);
    EXPECT_EQ(request->line.find('\xff'), std::string::npos);
  }
}

TEST(PageRequest, WhatIsNoRequestIsRefused) {
  for (const std::string_view body :
       {"", "[]", "1", "{", R"({"do":"status"})", R"({"run":"a"})", R"({"run":1,"do":"status"})",
        R"({"run":"../x","do":"status"})", R"({"run":"","do":"status"})",
        R"({"run":"a","do":"subscribe"})", R"({"run":"a","do":{"x":1}})"}) {
    EXPECT_FALSE(read_run_request(body).has_value()) << body;
  }
  EXPECT_FALSE(read_run_request(R"({"run":"a","do":"status","x":)" + std::string(30'000, '[') +
                                std::string(30'000, ']') + "}")
                   .has_value());
}

TEST(PageRequest, ATokenIsAText) {
  EXPECT_EQ(read_token(R"({"token":"abc"})"), "abc");
  EXPECT_EQ(read_token(R"({"token":1})"), "");
  EXPECT_EQ(read_token("abc"), "");
}

TEST(PageRequest, NamesAreAListOfTexts) {
  EXPECT_EQ(read_names(R"({"names":["a.test","b.test"]})")->size(), 2u);
  EXPECT_FALSE(read_names(R"({"names":[1]})").has_value());
  EXPECT_FALSE(read_names(R"({"names":"a"})").has_value());
  EXPECT_FALSE(read_names("[]").has_value());
  std::string many = R"({"names":["a")";
  for (std::size_t i = 0; i < kNamesMax; ++i) many += R"(,"a")";
  EXPECT_FALSE(read_names(many + "]}").has_value());
}

}  // namespace
}  // namespace sluice::web
