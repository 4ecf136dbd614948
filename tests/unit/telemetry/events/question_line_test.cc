#include "telemetry/events/question_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sluice::telemetry {
namespace {

nlohmann::json line_of(const policy::Question& question) {
  fmt::memory_buffer buffer;
  JsonLine line(buffer);
  add_question(line, question);
  line.end_line();
  return nlohmann::json::parse(std::string_view(buffer.data(), buffer.size()));
}

TEST(QuestionLine, HasWhatIsAskedAndWhatAnswersWouldMake) {
  const auto line = line_of({.id = 3,
                             .subject = {.name = wire::DomainName::from_text("www.example.com"),
                                         .address = wire::IpAddress::v4(0xc612'0001),
                                         .port = {443}},
                             .domain = "example.com",
                             .rule = "default",
                             .count = 2,
                             .waiters = {{}, {}}});
  EXPECT_EQ(line, nlohmann::json::parse(R"({"question":3,"name":"www.example.com",
      "domain":"example.com","address":"198.18.0.1","port":443,"proto":"tcp","rule":"default",
      "note":"","count":2,"waiting":2,"rules":{"name:port":"www.example.com:443/tcp",
      "name":"www.example.com:*/tcp","domain":".example.com:443/tcp"}})"));
}

TEST(QuestionLine, WhatIsNotThereIsNullAndOddNamesAreEscaped) {
  const auto address = line_of({.subject = {.address = wire::IpAddress::v4(1), .port = {22}}});
  EXPECT_TRUE(address["name"].is_null());
  EXPECT_TRUE(address["domain"].is_null());
  EXPECT_EQ(address["rules"].size(), 2u);
  const auto odd = line_of({.subject = {.name = wire::DomainName::from_text("\\027[2J.test")}});
  EXPECT_EQ(odd["name"], "\\027[2J.test");
  EXPECT_TRUE(odd["rules"].empty());
}

}  // namespace
}  // namespace sluice::telemetry
