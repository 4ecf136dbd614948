#include "control/request.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::control {
namespace {

BadRequest bad(std::string_view line) {
  const auto request = parse_request(line);
  EXPECT_FALSE(request.has_value()) << line;
  return request ? BadRequest{} : request.error();
}

TEST(ControlRequest, HasWhatItIsAbout) {
  const auto kill = parse_request(R"({"id":7,"do":"kill","flow":"00c0ffee00c0ffee"})");
  ASSERT_TRUE(kill.has_value());
  EXPECT_EQ(kill->verb, Verb::kKill);
  EXPECT_EQ(kill->id, 7u);
  EXPECT_EQ(kill->what, "00c0ffee00c0ffee");

  const auto flows = parse_request(R"({"v":1,"do":"flows","from":"1000000002","max":10})");
  ASSERT_TRUE(flows.has_value());
  EXPECT_EQ(flows->from, 0x10'0000'0002u);
  EXPECT_EQ(flows->max, 10u);
}

TEST(ControlRequest, MistakesAreNamed) {
  EXPECT_EQ(bad("").error, "bad-request");
  EXPECT_EQ(bad("[]").message, "a request is an object, not an array");
  EXPECT_EQ(bad("7").error, "bad-request");
  EXPECT_EQ(bad("null").error, "bad-request");
  EXPECT_EQ(bad(R"("status")").message, "a request is an object");
  EXPECT_EQ(bad(R"({"do":"status"} x)").error, "bad-request");
  EXPECT_EQ(bad(R"({"id":7})").message, "'do' is missing");
  EXPECT_EQ(bad(R"({"do":"explode"})").error, "unknown-request");
  EXPECT_EQ(bad(R"({"do":"kill"})").message, "'flow' is missing");
  EXPECT_EQ(bad(R"({"do":"status","rule":"x"})").message, "'rule' does not belong here");
  EXPECT_EQ(bad(R"({"do":"allow","rule":"x","flow":"y"})").message,
            "'rule' and 'flow' exclude each other");
  EXPECT_EQ(bad(R"({"do":"status","colour":"red"})").message, "unknown member");
  EXPECT_EQ(bad(R"({"do":"status","do":"kill"})").message, "'do' stands there twice");
  EXPECT_EQ(bad(R"({"do":"status","id":"7"})").message, "the value of 'id' has the wrong type");
  EXPECT_EQ(bad(R"({"do":"status","id":-7})").error, "bad-request");
  EXPECT_EQ(bad(R"({"do":["status"]})").error, "bad-request");
  EXPECT_EQ(bad(R"({"do":{"do":"status"}})").error, "bad-request");
  EXPECT_EQ(bad(R"({"do":"flows","from":"x"})").message, "'from' is not what 'next' was");
  EXPECT_EQ(bad(R"({"v":2,"do":"status"})").error, "bad-version");
}

TEST(ControlRequest, TheIdIsToldWhereItCouldBeRead) {
  EXPECT_EQ(bad(R"({"id":7,"do":"explode"})").id, 7u);
  EXPECT_EQ(bad(R"({"id":7,"do":)").id, 7u);
}

TEST(ControlRequest, DepthCostsNothing) {
  EXPECT_EQ(bad(std::string(60'000, '[')).error, "bad-request");
  std::string nested;
  for (int i = 0; i < 10'000; ++i) nested += R"({"do":)";
  EXPECT_EQ(bad(nested).error, "bad-request");
}

TEST(ControlRequest, NoTextIsTooStrange) {
  EXPECT_EQ(bad("{\"do\":\"\xff\xfe\"}").error, "bad-request");
  EXPECT_EQ(bad(std::string("{\"do\":\"sta\0tus\"}", 16)).error, "bad-request");
  EXPECT_EQ(bad(R"({"do":"\ud800"})").error, "bad-request");
}

TEST(ControlRequest, EachVerbIsFoundByItsName) {
  for (const Verb verb :
       {Verb::kStatus, Verb::kFlows, Verb::kPublished, Verb::kSubscribe, Verb::kPending}) {
    const auto request = parse_request("{\"do\":\"" + std::string(to_string(verb)) + "\"}");
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(request->verb, verb);
  }
}

TEST(ControlRequest, AnAnswerSaysWhichQuestionAndHowFarItGoes) {
  const auto answer =
      parse_request(R"({"do":"approve","question":3,"scope":"run","of":"name:port","by":"ctl"})");
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->verb, Verb::kApprove);
  EXPECT_EQ(answer->question, 3u);
  EXPECT_EQ(answer->scope, "run");
  EXPECT_EQ(answer->of, "name:port");
  EXPECT_EQ(answer->by, "ctl");
  EXPECT_EQ(bad(R"({"do":"refuse"})").message, "'question' is missing");
  EXPECT_EQ(bad(R"({"do":"approve","question":"3"})").error, "bad-request");
  EXPECT_EQ(bad(R"({"do":"approve","question":3,"rule":"a.test"})").error, "bad-request");
  EXPECT_EQ(bad(R"({"do":"status","scope":"run"})").message, "'scope' does not belong here");
}

TEST(FlowNumber, SixteenDigitsAndNothingElse) {
  EXPECT_EQ(flow_number("00d122039ce0fe7c"), 0x00d1'2203'9ce0'fe7cu);
  EXPECT_EQ(flow_number("ffffffffffffffff"), UINT64_MAX);
  for (const char* const text : {"", "7c", "00d122039ce0fe7", "00d122039ce0fe7c0",
                                 "00d122039ce0fe7g", "-0d122039ce0fe7c", "0x00d122039ce0fe"}) {
    EXPECT_EQ(flow_number(text), std::nullopt) << text;
  }
}

TEST(ControlRequest, WhoSubscribesMayAnswer) {
  EXPECT_TRUE(parse_request(R"({"do":"subscribe","answers":true})")->answers);
  EXPECT_FALSE(parse_request(R"({"do":"subscribe"})")->answers);
  EXPECT_EQ(bad(R"({"do":"subscribe","answers":1})").error, "bad-request");
  EXPECT_EQ(bad(R"({"do":"flows","answers":true})").error, "bad-request");
}

}  // namespace
}  // namespace sluice::control
