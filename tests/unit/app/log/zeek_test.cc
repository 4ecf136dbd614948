#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "unit/app/log/golden_events.h"

namespace sluice::app {
namespace {

using test::SeenEvent;

std::vector<std::string> head_lines() {
  std::vector<std::string> lines;
  std::istringstream head(zeek_head());
  for (std::string line; std::getline(head, line);) lines.push_back(line);
  return lines;
}

auto tabs(const std::string& line) { return std::count(line.begin(), line.end(), '\t'); }

TEST(Zeek, IsAsTheFileBesideHasIt) {
  std::vector<std::string> lines = head_lines();
  for (const std::string& line : test::converted(zeek_line)) lines.push_back(line);
  EXPECT_EQ(lines, test::lines_in("conn.log"));
}

TEST(Zeek, ALineHasAllItsFieldsWhateverIsInThem) {
  for (const std::string& line : head_lines()) {
    if (line.starts_with("#fields") || line.starts_with("#types")) {
      EXPECT_EQ(tabs(line), 17);
    }
  }
  SeenEvent event = test::ended_flow();
  event.name = "a\tb\nc";
  event.reason = "-";
  const std::string line = zeek_line(event).value();
  EXPECT_EQ(tabs(line), 16) << line;
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_TRUE(line.ends_with("\ta\\x09b\\x0ac\t\\x2d")) << line;
}

TEST(Zeek, WhatIsOfNoFlowHasNoPlace) {
  for (const SeenEvent& event : test::placeless()) EXPECT_FALSE(zeek_line(event).has_value());
}

}  // namespace
}  // namespace sluice::app
