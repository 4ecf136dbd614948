#include "app/ctl/answer_members.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sluice::app {
namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;

TEST(AnswerMembers, WhatIsThereIsRead) {
  const Json object = {{"name", "a.test"}, {"bytes", 7U}, {"rtt_s", 0.25}};
  EXPECT_EQ(text_of(object, "name"), "a.test");
  EXPECT_EQ(number_of(object, "bytes"), 7u);
  EXPECT_EQ(fraction_of(object, "rtt_s"), 0.25);
  EXPECT_EQ(seconds_of(object, "rtt_s"), 250ms);
}

TEST(AnswerMembers, WhatIsMissingOrOfAnotherKindIsEmpty) {
  const Json object = {{"name", 7}, {"bytes", -7}, {"rtt_s", "soon"}};
  for (const char* const key : {"name", "bytes", "none"}) {
    EXPECT_EQ(text_of(object, key), "") << key;
  }
  for (const char* const key : {"bytes", "rtt_s", "none"}) {
    EXPECT_EQ(number_of(object, key), 0u) << key;
  }
  EXPECT_EQ(fraction_of(object, "rtt_s"), 0);
  EXPECT_EQ(seconds_of(object, "none"), Duration{});
}

TEST(AnswerMembers, TimesOfAnyNumberAreBounded) {
  EXPECT_EQ(seconds_of(Json{{"s", -1.5}}, "s"), Duration{});
  EXPECT_EQ(seconds_of(Json{{"s", 1e300}}, "s"), std::chrono::seconds(1'000'000'000));
}

TEST(AnswerMembers, TextsAreShownAsATerminalMay) {
  const std::string text = text_of(Json{{"name", "a\x1b[31m"}}, "name");
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(AnswerMembers, HostsOfV6HaveBrackets) {
  EXPECT_EQ(host_and_port("a.test", 443), "a.test:443");
  EXPECT_EQ(host_and_port("fd00::1", 443), "[fd00::1]:443");
  EXPECT_EQ(host_and_port("fd00::1", 0), "fd00::1");
}

}  // namespace
}  // namespace sluice::app
