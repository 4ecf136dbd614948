// A screen of `sluice top` as text: rows of groups and, of those that are open, of their flows. As
// many columns as the width has room for. Makes no system call.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/top/top_model.h"
#include "telemetry/report.h"

namespace sluice::app {

struct TopHead {
  std::string run{};
  std::string program{};
  double uptime_s = 0;
  std::uint64_t generation = 0;
  std::string fallback{};  // The policy's default.
  std::uint64_t rules = 0;
};

struct TopRow {
  const TopGroup* group = nullptr;
  const TopFlow* flow = nullptr;  // Null: the group's own row.
};

// What people have chosen.
struct TopState {
  TopSort sort = TopSort::kRate;
  std::string filter;
  std::set<std::string> open;  // Titles of groups whose flows are shown.
  std::size_t selected = 0;    // A row.
  bool paused = false;
  std::string prompt;   // What is asked, or typed, at the bottom; empty: the keys.
  std::string message;  // What came of the last key.
};

// In the order of the screen.
[[nodiscard]] std::vector<TopRow> top_rows(const std::vector<TopGroup>& groups,
                                           const TopState& state);

struct TopSize {
  std::size_t columns = 80;
  std::size_t lines = 24;  // 0: as many as there are rows, without marks or keys.
  telemetry::Color color = telemetry::Color::kOff;
};

// Lines with newlines, none longer than the width; at most as many as there are.
[[nodiscard]] std::string top_screen(const TopHead& head, const std::vector<TopGroup>& groups,
                                     const TopState& state, const TopSize& size);

}  // namespace sluice::app
