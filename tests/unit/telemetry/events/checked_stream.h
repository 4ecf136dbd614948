// What a reader may rely on: the numbers of a stream have no gap that is not told.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sluice::telemetry::test {

struct CheckedStream {
  std::uint64_t last = 0;  // The number of the last line.
  std::uint64_t events = 0;
  std::uint64_t lost = 0;

  // Lines that are none, as an error leaves them, are passed over.
  explicit CheckedStream(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (json.is_discarded()) continue;
      const auto sequence = json["seq"].get<std::uint64_t>();
      const bool told = json["type"] == "lost";
      const std::uint64_t step = told ? json["count"].get<std::uint64_t>() : 1;
      if (last != 0) {
        EXPECT_EQ(sequence, last + step) << line;
      }
      last = sequence;
      (told ? lost : events) += step;
    }
  }
};

}  // namespace sluice::telemetry::test
