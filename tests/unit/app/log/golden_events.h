// The events of golden/events.jsonl, which the tests of each format convert.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "app/log/formats.h"

namespace sluice::app::test {

using telemetry::SeenEvent;

[[nodiscard]] inline std::vector<std::string> lines_in(const char* name) {
  std::ifstream file(std::filesystem::path(SLUICE_ROOT) / "tests/unit/app/log/golden" / name);
  EXPECT_TRUE(file.good()) << name;
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

template <typename Convert>
[[nodiscard]] std::vector<std::string> converted(const Convert& convert) {
  std::vector<std::string> lines;
  for (const std::string& line : lines_in("events.jsonl")) {
    const auto event = telemetry::read_event(line);
    EXPECT_TRUE(event.has_value()) << line;
    if (const auto text = event ? convert(*event) : std::nullopt) lines.push_back(*text);
  }
  return lines;
}

// A flow that has ended, with nothing strange about it.
[[nodiscard]] inline SeenEvent ended_flow() {
  return telemetry::read_event(lines_in("events.jsonl").at(2)).value();
}

// Events that are of no flow, or of one whose ends are none.
[[nodiscard]] inline std::vector<SeenEvent> placeless() {
  std::vector<SeenEvent> events;
  for (const char* line :
       {R"({"v":1,"type":"lost","count":5})", R"({"v":1,"type":"deny","left_out":5})",
        R"({"v":1,"type":"close","flow":"1","guest":"x","address":"y","proto":"tcp"})",
        R"({"v":1,"type":"close","flow":"1","guest":"10.0.0.1","address":"10.0.0.2"})"}) {
    events.push_back(telemetry::read_event(line).value());
  }
  return events;
}

}  // namespace sluice::app::test
